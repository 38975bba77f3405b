//! A host that cannot start says what is wrong, where, and what to do, and ends with status 1 (2 for usage).

use std::net::TcpListener;
use std::path::PathBuf;

use bulkhead_tests::{Manifest, Site, database, host};

#[test]
fn a_second_start_serves_what_the_first_one_stored() {
    let site = Site::guests();
    let host = site.start();
    host.client().post("/notes", &serde_json::json!({"id": "kept", "body": "x"})).expect(201);
    host.stop();
    let host = site.start();
    assert_eq!(host.client().get("/notes/kept").expect(200)["id"], "kept");
    host.stop();
}

#[test]
fn usage_errors_end_with_status_2() {
    let table: [&[&str]; 4] =
        [&["up", "--nonsense"], &["no-such-verb"], &["up", "--listen"], &["build", "--nonsense"]];
    for arguments in table {
        host::run(arguments).says(2, &["--help"]);
    }
}

#[test]
fn a_missing_manifest_is_named() {
    let site = Site::shop();
    std::fs::remove_file(site.manifest()).unwrap();
    site.fail_to_start().says(1, &["bulkhead.toml"]);
}

#[test]
fn file_that_is_not_a_component_is_refused_by_name() {
    let core_module = b"\0asm\x01\0\0\0";
    let table: [(&str, &[u8]); 4] = [
        ("text", b"not wasm at all"),
        ("empty", b""),
        ("module", core_module),
        ("cut", b"\0asm\x0d\0\x01\0\x07"),
    ];
    for (name, content) in table {
        let site = Site::shop();
        let file = site.path(&format!("{name}.wasm"));
        std::fs::write(&file, content).unwrap();
        site.write_manifest(&Manifest::shop().set("service.product.source", file.to_str().unwrap()).text());
        site.fail_to_start().says(1, &["product", &format!("{name}.wasm")]);
        site.fail_to_start().says(1, &["product", &format!("{name}.wasm")]);
    }
}

#[test]
fn missing_source_is_reported_by_name() {
    let manifest = Manifest::shop().set("service.product.source", "nowhere.wasm");
    Site::new(&manifest).fail_to_start().says(1, &["product", "nowhere.wasm"]);
}

#[test]
fn a_component_that_lacks_a_grant_is_refused_by_its_name() {
    let manifest = Manifest::shop().set("service.product.publishes", Vec::<String>::new());
    let site = Site::new(&manifest);
    site.fail_to_start().says(1, &["product.changed", "publishes", "service.product"]);
    site.fail_to_start().says(1, &["product.changed", "publishes", "service.product"]);
}

#[test]
fn an_edited_migration_is_refused_by_version_and_name() {
    let site = Site::shop();
    site.start().stop();
    let file = site.database("product");
    let name = {
        let connection = database::open_to_break(&file);
        let edited = connection
            .execute("UPDATE _bulkhead_migration SET sha256 = replace(hex(zeroblob(32)), '00', 'ab') WHERE version = 1", ())
            .unwrap();
        assert_eq!(edited, 1, "version 1 was recorded");
        database::texts(&connection, "SELECT name FROM _bulkhead_migration WHERE version = 1").remove(0)
    };
    site.fail_to_start().says(1, &["product", "V0001", &name]);
}

#[test]
fn a_database_of_a_later_version_is_refused() {
    let site = Site::shop();
    site.start().stop();
    let connection = database::open_to_break(&site.database("product"));
    connection
        .execute(
            "INSERT INTO _bulkhead_migration (version, name, sha256, applied_at) \
             SELECT 9999, 'from_the_future', sha256, applied_at FROM _bulkhead_migration WHERE version = 1",
            (),
        )
        .unwrap();
    drop(connection);
    site.fail_to_start().says(1, &["product", "V9999"]);
}

#[test]
fn database_file_that_is_not_a_database_is_reported_by_name() {
    let site = Site::shop();
    std::fs::write(site.database("product"), "this is a letter to my aunt, and not a database. ".repeat(100))
        .unwrap();
    site.fail_to_start().says(1, &["product.db"]);
}

#[test]
fn a_port_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let site = Site::shop();
    let (manifest, data) = (site.manifest(), site.data());
    let finished = host::run(&[
        "up",
        "--manifest",
        manifest.to_str().unwrap(),
        "--data",
        data.to_str().unwrap(),
        "--listen",
        &address,
    ]);
    finished.says(1, &["another process listens on", &address, "--listen or application.listen"]);
}

#[test]
fn address_not_of_this_machine_is_reported_as_such() {
    let site = Site::shop();
    // Of the addresses that documentation is to use (RFC 5737): nobody has them.
    let finished = site.run_within(&["up", "--listen", "192.0.2.1:8080"]);
    finished.says(
        1,
        &["this machine does not have the address 192.0.2.1:8080", "--listen or application.listen"],
    );
    assert!(!finished.stderr.contains("another process"), "{}", finished.stderr);
    site.run_within(&["up", "--admin", "192.0.2.1:9090"]).says(1, &["can be reached from other machines"]);
}

#[test]
fn name_of_this_machine_is_accepted_wherever_an_address_is() {
    let manifest = Manifest::events()
        .only(&["source"])
        .set("application.listen", "localhost:0")
        .set("application.admin", "localhost:0");
    let site = Site::new(&manifest);
    let host = site.start_within(&["up"]);
    host.client().get("/source/ready").expect(200);
    assert_eq!(host.address().ip().to_string(), "127.0.0.1");
    let admin = format!("localhost:{}", host.admin_address().unwrap().port());
    site.run_within(&["status", "--admin", &admin]).says(0, &[]);
    host.stop();
    let host = site.start_within(&["up", "--listen", "localhost:0", "--admin", "localhost:0"]);
    host.client().get("/source/ready").expect(200);
    host.stop();
    let port = site.run_within(&["up", "--listen", "localhost"]);
    port.says(2, &["\"localhost\" is not an address with a port"]);
}

#[test]
fn a_data_folder_that_cannot_be_written_is_named() {
    let site = Site::shop();
    let file = site.path("a-regular-file");
    std::fs::write(&file, "").unwrap();
    site.fail_to_start_in(&file.join("data")).says(1, &["a-regular-file", "--data"]);
    site.fail_to_start_in(&file).says(1, &["a-regular-file", "--data"]);
}

#[test]
fn data_folder_held_by_another_host_is_refused_and_free_after_that_host_stops() {
    let site = Site::shop();
    let first = site.start();
    site.fail_to_start().says(1, &["data", "another host", "--data"]);
    first.client().get("/products").expect(200);
    first.kill();
    site.start().stop();
}

/// The product service and a guest, with the second one's database file at this path.
fn two_services(second_database: &str) -> Site {
    let manifest = Manifest::shop()
        .and(Manifest::guests().only(&["hostile"]))
        .set("service.hostile.database", format!("sqlite:data/{second_database}"));
    Site::new(&manifest)
}

#[test]
fn two_services_with_the_same_database_file_are_refused_for_any_path_spelling() {
    let same_name = two_services("product.db");
    same_name.fail_to_start().says(1, &["product", "hostile", "product.db"]);
    same_name.fail_to_start().says(1, &["product", "hostile", "product.db"]);

    let linked = |link: fn(PathBuf, PathBuf)| {
        let site = two_services("other.db");
        std::fs::write(site.data().join("product.db"), "").unwrap();
        link(site.data().join("product.db"), site.data().join("other.db"));
        site.fail_to_start().says(1, &["product", "hostile", ".db"]);
    };
    linked(|file, link| std::fs::hard_link(file, link).unwrap());
    linked(|file, link| std::os::unix::fs::symlink(file, link).unwrap());

    // Beside one another they are welcome.
    let host = two_services("hostile.db").start();
    host.client().get("/products").expect(200);
    host.client().get("/notes").expect(200);
    host.stop();
}
