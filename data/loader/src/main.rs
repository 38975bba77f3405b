//! `shop-loader` fills a running shop with the real catalogue, through the shop's own HTTP API.
//!
//! Departments, product categories and product types become a tree of categories; every line of `products.csv` becomes a product.
//! It may be run again at any time: what is there already is left as it is, so a run that was broken off is resumed by
//! running it again. `--verify` reads everything back and compares it with the file, to the cent.

mod catalogue;
mod client;
mod load;
mod login;
mod names;
mod progress;
mod shop;
mod tree;
mod verify;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::Parser;

use crate::catalogue::Catalogue;
use crate::client::{Address, Connection};

/// Loads the real catalogue into a running shop.
#[derive(Parser)]
#[command(version, about)]
struct Arguments {
    /// Where the shop listens.
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    url: Address,
    /// The file to load.
    #[arg(long, default_value = "data/products.csv")]
    products: PathBuf,
    /// Who loads: the shop's administrator. The password is taken from the variable SHOP_ADMIN_PASSWORD, or else from the file.
    #[arg(long, default_value = "admin@shop.example")]
    email: String,
    /// A file with the administrator's password; `make run` keeps it there.
    #[arg(long, default_value = "data/admin.password")]
    password_file: PathBuf,
    /// How many connections load at the same time.
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=1024))]
    connections: u16,
    /// Load nothing where the shop has a product already: only say how many of the file's it has.
    #[arg(long, conflicts_with = "verify")]
    if_empty: bool,
    /// Load nothing: read everything back and compare it with the file. The exit status is 1 where they differ.
    #[arg(long)]
    verify: bool,
    /// How long to wait for the shop to be ready.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    wait: u64,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(code) => code,
        Err(error) => {
            // Nothing is left to be done where even standard error is closed.
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// What is said of a shop that is not empty. A run that was broken off is not taken up unasked: what is missing may have been
/// deleted on purpose.
fn presence(count: usize, all: usize) -> String {
    let rest = if count == all { "nothing to load" } else { "make load adds the rest" };
    format!("the shop has {count} of {all} products: {rest}")
}

/// One thread is enough: it leaves the other cores to the shop.
#[tokio::main(flavor = "current_thread")]
async fn run(arguments: &Arguments) -> Result<ExitCode> {
    let catalogue = Catalogue::read(&arguments.products)?;
    client::wait_until_ready(&arguments.url, Duration::from_secs(arguments.wait)).await?;
    let mut out = std::io::stdout();
    if arguments.verify {
        let report = verify::verify(&mut Connection::new(arguments.url.clone()), &catalogue).await?;
        write!(out, "{report}")?;
        return Ok(if report.differences.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    if arguments.if_empty && shop::has_products(&mut Connection::new(arguments.url.clone())).await? {
        let count = shop::count_products(&mut Connection::new(arguments.url.clone()), &catalogue).await?;
        writeln!(out, "{}", presence(count, catalogue.items.len()))?;
        return Ok(ExitCode::SUCCESS);
    }
    let password = login::password(&arguments.password_file)?;
    let token =
        login::log_in(&mut Connection::new(arguments.url.clone()), &arguments.email, &password).await?;
    let connection = |_| Connection::new(arguments.url.clone()).with_token(&token);
    let mut connections = (0..arguments.connections).map(connection).collect::<Result<Vec<_>>>()?;
    let outcome = load::load(&mut connections, &catalogue).await?;
    write!(out, "{outcome}")?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shop_that_is_not_empty_is_told_what_it_lacks() {
        assert_eq!(presence(7, 12_710), "the shop has 7 of 12710 products: make load adds the rest");
        assert_eq!(presence(12_710, 12_710), "the shop has 12710 of 12710 products: nothing to load");
    }
}
