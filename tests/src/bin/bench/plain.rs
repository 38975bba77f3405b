//! What the host is measured against: a native server on hyper and rusqlite, as a careful programmer writes it.
//!
//! Reads run on the network's threads, each with a connection and prepared statements of its own. Writes have one event row each and are
//! durable: one transaction each on a blocking connection, or many in one ([`Writer`]). The schema is the product service's own.

use std::cell::RefCell;
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use bytes::Bytes;
use http::{Method, Request, Response, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, params};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use uuid::Uuid;

use bulkhead_tests::paths;

use crate::plain_writer::{Commits, Writer};

/// A write that finds the other one writing waits for so long at most.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
const TIME: &str = "2026-01-01T00:00:00.000Z";

thread_local! {
    static READER: RefCell<Option<Connection>> = const { RefCell::new(None) };
}

struct Shop {
    database: PathBuf,
    writer: Writer,
}

#[derive(Serialize)]
struct Product {
    id: String,
    category_id: String,
    name: String,
    description: String,
    price: String,
    sku: String,
    stock_quantity: i64,
    images: Vec<Image>,
    rating_count: i64,
    rating_sum: i64,
    created_at: String,
    updated_at: String,
}

#[derive(Serialize)]
struct Image {
    id: String,
    image_url: String,
    display_order: i64,
}

/// A product in a list.
#[derive(Serialize)]
struct Listed {
    id: String,
    category_id: String,
    name: String,
    description: String,
    price: String,
    sku: String,
    stock_quantity: i64,
    created_at: String,
    updated_at: String,
}

#[derive(Serialize)]
struct Page {
    items: Vec<Listed>,
    next_cursor: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewCategory {
    name: String,
    slug: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewProduct {
    category_id: String,
    name: String,
    description: String,
    price: String,
    sku: String,
    stock_quantity: i64,
}

/// Makes the database, prints its address, and serves until it is killed.
pub(crate) fn serve(database: &Path, commits: Commits) {
    let connection = open(database);
    let folder = paths::root().join("components/product/migrations");
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).expect("migrations").map(|entry| entry.expect("a file").path()).collect();
    // Beside them is the folder of what undoes them.
    files.retain(|file| file.is_file());
    files.sort();
    for file in files {
        connection.execute_batch(&std::fs::read_to_string(file).expect("a migration")).expect("a migration");
    }
    let outbox = "CREATE TABLE outbox (sequence INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, type TEXT NOT NULL, \
                  subject TEXT NOT NULL, time TEXT NOT NULL, trace_id TEXT NOT NULL, data TEXT NOT NULL) STRICT";
    connection.execute_batch(outbox).expect("an outbox");
    let writer = Writer::start(commits, || open(database));
    let shop = Arc::new(Shop { database: database.to_owned(), writer });
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(accept(shop));
}

async fn accept(shop: Arc<Shop>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    println!("listening on http://{}", listener.local_addr().expect("an address"));
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        stream.set_nodelay(true).expect("a socket without delay");
        let shop = Arc::clone(&shop);
        tokio::spawn(async move {
            let service = service_fn(|request| answer(Arc::clone(&shop), request));
            // A client that goes away is no error.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

fn open(database: &Path) -> Connection {
    let connection = Connection::open(database).expect("a database");
    connection.busy_timeout(BUSY_TIMEOUT).expect("a time-out");
    let pragmas = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON";
    connection.execute_batch(pragmas).expect("settings");
    steady_plans(&connection);
    connection
}

/// Without it, SQLite prepares some cached statements again at every run: the host sets it, so this server has it too.
fn steady_plans(connection: &Connection) {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).expect("a setting");
}

async fn answer(shop: Arc<Shop>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let path = head.uri.path();
    if head.method == Method::GET {
        if path == "/products" {
            return Ok(json(200, &list(&shop, head.uri.query().unwrap_or_default())));
        }
        let product = path.strip_prefix("/products/").and_then(|id| read(&shop, id));
        return Ok(match product {
            Some(product) => json(200, &product),
            None => json(404, &"not found"),
        });
    }
    let Ok(body) = body.collect().await else { return Ok(json(400, &"cut off")) };
    let body = body.to_bytes();
    Ok(if path == "/products" {
        create_product(&shop, &body).await
    } else {
        create_category(&shop, &body).await
    })
}

fn json(status: u16, value: &impl Serialize) -> Response<Full<Bytes>> {
    let body = serde_json::to_vec(value).expect("JSON");
    let builder = Response::builder().status(status).header(header::CONTENT_TYPE, "application/json");
    builder.body(Full::new(body.into())).expect("an answer")
}

/// Uses this thread's own connection.
fn with_reader<T>(shop: &Shop, use_it: impl FnOnce(&Connection) -> T) -> T {
    READER.with_borrow_mut(|reader| {
        use_it(reader.get_or_insert_with(|| {
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let reader = Connection::open_with_flags(&shop.database, flags).expect("a reader");
            steady_plans(&reader);
            reader
        }))
    })
}

/// The first page of a category with those below it, or of a search: with the statements of the product service.
fn list(shop: &Shop, query: &str) -> Page {
    const COLUMNS: &str = "SELECT id, category_id, name, description, price, sku, stock_quantity, created_at, updated_at FROM product";
    let (key, value) = query.split_once('=').expect("a filter");
    let (statement, value) = match key {
        "category" => (
            format!(
                "{COLUMNS} WHERE category_id IN (WITH RECURSIVE tree (id) AS (VALUES (?1) UNION SELECT category.id FROM tree \
                 JOIN category ON category.parent_category_id = tree.id) SELECT id FROM tree) ORDER BY created_at, id LIMIT 51"
            ),
            value.to_owned(),
        ),
        "q" => (
            format!(
                "{COLUMNS} WHERE search_rowid IN (SELECT rowid FROM product_search WHERE product_search MATCH ?1) \
                 ORDER BY created_at, id LIMIT 51"
            ),
            // A phrase whose last word may go on.
            format!("\"{}\"*", value.replace('-', " ")),
        ),
        _ => panic!("the benchmark asks for {query}"),
    };
    with_reader(shop, |reader| {
        let mut statement = reader.prepare_cached(&statement).expect("a statement");
        let rows = statement.query_map([value], |row| {
            Ok(Listed {
                id: row.get(0)?,
                category_id: row.get(1)?,
                name: row.get(2)?,
                description: row.get(3)?,
                price: money(row.get(4)?),
                sku: row.get(5)?,
                stock_quantity: row.get(6)?,
                created_at: row.get(7)?,
                updated_at: row.get(8)?,
            })
        });
        let mut items: Vec<Listed> = rows.and_then(Iterator::collect).expect("products");
        let more = items.len() > 50;
        items.truncate(50);
        let last = items.last().filter(|_| more);
        let next_cursor = last.map(|last| {
            base64::engine::general_purpose::URL_SAFE_NO_PAD
                .encode(format!("{} {}", last.created_at, last.id))
        });
        Page { items, next_cursor }
    })
}

fn read(shop: &Shop, id: &str) -> Option<Product> {
    let id = id.parse::<Uuid>().ok()?.to_string();
    with_reader(shop, |reader| {
        // Both statements see one state.
        let snapshot = reader.unchecked_transaction().expect("a snapshot");
        let mut product = snapshot
            .prepare_cached(
                "SELECT id, category_id, name, description, price, sku, stock_quantity, rating_count, rating_sum, created_at, \
                        updated_at FROM product WHERE id = ?1",
            )
            .expect("a statement")
            .query_row([&id], |row| {
                Ok(Product {
                    id: row.get(0)?,
                    category_id: row.get(1)?,
                    name: row.get(2)?,
                    description: row.get(3)?,
                    price: money(row.get(4)?),
                    sku: row.get(5)?,
                    stock_quantity: row.get(6)?,
                    images: Vec::new(),
                    rating_count: row.get(7)?,
                    rating_sum: row.get(8)?,
                    created_at: row.get(9)?,
                    updated_at: row.get(10)?,
                })
            })
            .optional()
            .expect("a product or none")?;
        product.images = snapshot
            .prepare_cached(
                "SELECT id, image_url, display_order FROM product_image WHERE product_id = ?1 ORDER BY display_order, id",
            )
            .expect("a statement")
            .query_map([&id], |row| {
                Ok(Image { id: row.get(0)?, image_url: row.get(1)?, display_order: row.get(2)? })
            })
            .and_then(Iterator::collect)
            .expect("images");
        Some(product)
    })
}

async fn create_category(shop: &Shop, body: &[u8]) -> Response<Full<Bytes>> {
    let Ok(new) = serde_json::from_slice::<NewCategory>(body) else { return json(422, &"not a category") };
    let id = new_id();
    let answer = json(201, &serde_json::json!({ "id": id }));
    let insert = "INSERT INTO category (id, name, slug) VALUES (?1, ?2, ?3)";
    let write = move |connection: &Connection| {
        connection.execute(insert, params![id, new.name, new.slug]).expect("a category");
    };
    shop.writer.write(write).await;
    answer
}

async fn create_product(shop: &Shop, body: &[u8]) -> Response<Full<Bytes>> {
    let Ok(new) = serde_json::from_slice::<NewProduct>(body) else { return json(422, &"not a product") };
    let Some(price) = cents(&new.price) else { return json(422, &"not a price") };
    let product = Product {
        id: new_id(),
        category_id: new.category_id,
        name: new.name,
        description: new.description,
        price: new.price,
        sku: new.sku,
        stock_quantity: new.stock_quantity,
        images: Vec::new(),
        rating_count: 0,
        rating_sum: 0,
        created_at: TIME.to_owned(),
        updated_at: TIME.to_owned(),
    };
    let event = serde_json::json!({
        "id": product.id, "name": product.name, "price": product.price, "sku": product.sku, "category_id": product.category_id,
    });
    let event = event.to_string();
    let answer = json(201, &product);
    shop.writer.write(move |connection| insert_product(connection, &product, price, &event)).await;
    answer
}

fn insert_product(connection: &Connection, product: &Product, price: i64, event: &str) {
    connection
        .prepare_cached(
            "INSERT INTO product (id, category_id, name, description, price, sku, stock_quantity, stock_added, created_at, updated_at) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7, ?8, ?8)",
        )
        .expect("a statement")
        .execute(params![
            product.id,
            product.category_id,
            product.name,
            product.description,
            price,
            product.sku,
            product.stock_quantity,
            TIME
        ])
        .expect("a product");
    // Of what is all ASCII, as the benchmark's products are, these are the words that the service writes.
    connection
        .prepare_cached("INSERT INTO product_words (search_rowid, name, description) VALUES (?1, ?2, ?3)")
        .expect("a statement")
        .execute(params![connection.last_insert_rowid(), product.name, product.description])
        .expect("the words of a product");
    connection
        .prepare_cached(
            "INSERT INTO outbox (id, type, subject, time, trace_id, data) VALUES (?1, 'product.changed', ?2, ?3, ?4, ?5)",
        )
        .expect("a statement")
        .execute(params![new_id(), product.id, TIME, new_id(), event])
        .expect("an event");
}

fn new_id() -> String {
    let milliseconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let mut random = [0; 10];
    getrandom::fill(&mut random).expect("random numbers");
    let milliseconds = u64::try_from(milliseconds).unwrap_or_default();
    uuid::Builder::from_unix_timestamp_millis(milliseconds, &random).into_uuid().to_string()
}

fn money(cents: i64) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}

fn cents(price: &str) -> Option<i64> {
    let (whole, cents) = price.split_once('.')?;
    Some(whole.parse::<i64>().ok()? * 100 + cents.parse::<i64>().ok()?)
}
