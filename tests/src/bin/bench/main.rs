//! `bench` measures the host beside plain native servers in one run, on loopback, and ends by itself.
//!
//! All serve the same requests from the same schema, and take turns in each round, so that a machine that slows down slows all of them
//! down; the load and the plain servers are processes of their own, as the host is. What counts are the ratios: the times are
//! those of this machine at this hour.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a program for developers: it prints a table, and ends where something is wrong"
)]

mod access;
mod deploy;
mod events;
mod footprint;
mod identity;
mod load;
mod plain;
mod plain_writer;
mod rounds;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// Measures the host beside plain native servers.
#[derive(Parser)]
#[command(version, about)]
struct Arguments {
    #[command(subcommand)]
    part: Option<Part>,
    /// How often each measurement is made; the table shows the medians.
    #[arg(long, global = true, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=20))]
    rounds: u32,
    /// How long each measurement takes.
    #[arg(long, global = true, value_name = "SECONDS", default_value_t = 2.0)]
    seconds: f64,
}

/// The parts, of which two run as processes of their own.
#[derive(Subcommand)]
enum Part {
    /// Measures only the rates of requests beside the plain servers.
    Requests,
    /// Measures only what tokens and logins cost.
    Identity {
        /// Refused logins of each of the two kinds whose times are compared.
        #[arg(long, default_value_t = identity::TRIES)]
        tries: usize,
    },
    /// Measures only what the access log costs.
    Access,
    /// Measures only how fast events are taken.
    Events,
    /// Measures only what deploys cost.
    Deploy,
    /// Serves products without a host.
    #[command(hide = true)]
    Plain {
        /// The database file to make.
        database: PathBuf,
        /// How it commits.
        commits: plain_writer::Commits,
    },
    /// Makes load.
    #[command(hide = true)]
    Load {
        /// What is asked.
        kind: load::Kind,
        /// Who is asked.
        address: SocketAddr,
        /// A file with the token to send, which may be empty, the ids of the category that is read and of the one of new products, and then
        /// those of products, a line each.
        ids: PathBuf,
        /// On how many connections.
        connections: usize,
        /// For how long.
        duration: f64,
    },
}

fn main() {
    let arguments = Arguments::parse();
    match arguments.part {
        Some(Part::Requests) => rounds::run(arguments.rounds, arguments.seconds),
        Some(Part::Identity { tries }) => identity::run(arguments.rounds, arguments.seconds, tries),
        Some(Part::Access) => access::run(arguments.rounds, arguments.seconds),
        Some(Part::Events) => events::run(arguments.rounds),
        Some(Part::Deploy) => deploy::run(arguments.rounds, arguments.seconds),
        Some(Part::Plain { database, commits }) => plain::serve(&database, commits),
        Some(Part::Load { kind, address, ids, connections, duration }) => {
            let measured = load::run(kind, address, &ids, connections, duration);
            println!("{}", serde_json::to_string(&measured).expect("JSON"));
        }
        None => {
            rounds::run(arguments.rounds, arguments.seconds);
            access::run(arguments.rounds, arguments.seconds);
            footprint::run();
            events::run(arguments.rounds);
            deploy::run(arguments.rounds, arguments.seconds);
            identity::run(arguments.rounds, arguments.seconds, identity::TRIES);
        }
    }
}
