//! The two ways in which the plain server commits.

use std::sync::{Arc, Mutex, PoisonError, mpsc};

use clap::ValueEnum;
use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::oneshot;

/// Writes that share a commit at most, as in the host.
const GROUP: usize = 256;

type Write = Box<dyn FnOnce(&Connection) + Send>;

/// How a server commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Commits {
    /// Each write alone, as most programs do.
    Each,
    /// All writes that wait, in one transaction. There is no savepoint: one that fails would end all.
    Group,
}

impl Commits {
    /// The name that the command line takes.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Commits::Each => "each",
            Commits::Group => "group",
        }
    }
}

/// Where writes go.
pub(crate) enum Writer {
    /// One connection: two of them would wait for one another in SQLite, and drop one another's cached pages.
    Each(Arc<Mutex<Connection>>),
    Group(mpsc::Sender<(Write, oneshot::Sender<()>)>),
}

impl Writer {
    pub(crate) fn start(commits: Commits, open: impl FnOnce() -> Connection) -> Writer {
        match commits {
            Commits::Each => Writer::Each(Arc::new(Mutex::new(open()))),
            Commits::Group => {
                let (sender, receiver) = mpsc::channel();
                let connection = open();
                std::thread::spawn(move || commit_groups(connection, &receiver));
                Writer::Group(sender)
            }
        }
    }

    /// Runs a write in a transaction, and returns once that is durable.
    pub(crate) async fn write(&self, write: impl FnOnce(&Connection) + Send + 'static) {
        match self {
            Writer::Each(connection) => {
                let connection = Arc::clone(connection);
                let write_alone = move || {
                    let mut connection = connection.lock().unwrap_or_else(PoisonError::into_inner);
                    in_transaction(&mut connection, write);
                };
                tokio::task::spawn_blocking(write_alone).await.expect("a write");
            }
            Writer::Group(sender) => {
                let (done, durable) = oneshot::channel();
                sender.send((Box::new(write), done)).expect("the writer runs");
                durable.await.expect("a write");
            }
        }
    }
}

fn in_transaction<T>(connection: &mut Connection, write: impl FnOnce(&Connection) -> T) -> T {
    let transaction =
        connection.transaction_with_behavior(TransactionBehavior::Immediate).expect("a transaction");
    let written = write(&transaction);
    transaction.commit().expect("a commit");
    written
}

/// While one group becomes durable, the next one gathers.
fn commit_groups(mut connection: Connection, writes: &mpsc::Receiver<(Write, oneshot::Sender<()>)>) {
    while let Ok(first) = writes.recv() {
        let group: Vec<_> = in_transaction(&mut connection, |connection| {
            let group = std::iter::once(first).chain(writes.try_iter()).take(GROUP);
            let run = |(write, done): (Write, _)| {
                write(connection);
                done
            };
            group.map(run).collect()
        });
        for done in group {
            // A client may have gone away.
            let _ = done.send(());
        }
    }
}
