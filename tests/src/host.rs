//! The host as a process.

use std::io::{BufRead as _, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::client::Client;
use crate::paths::text;
use crate::{compiled, paths, shop};

/// What a host prints, followed by its address, when it takes requests.
const READY_LINE: &str = "listening on http://";

/// What a host prints before that, followed by the address of its admin port, where it has one.
const ADMIN_LINE: &str = "admin on http://";

/// A host that needs longer than this to start or to end fails the test: a bound for a wait, not a measure.
const PROCESS_BOUND: Duration = Duration::from_secs(60);

/// The password that every host is given for the shop's administrator.
pub const ADMIN_PASSWORD: &str = "tests-only-admin-password";

/// What the SDK logs when a route answers with a problem that it does not declare. It fails every test in which it happens.
const UNDECLARED: &str = "the route does not say that it answers with this problem";

/// A running host. It is killed when it is dropped.
#[derive(Debug)]
pub struct Host {
    process: Process,
    address: SocketAddr,
    admin_address: Option<SocketAddr>,
    /// What the host runs in stays as long as it runs.
    _folder: Arc<TempDir>,
}

impl Host {
    /// Runs `bulkhead up` and waits until it listens. Fails the test with what it wrote where it does not.
    #[track_caller]
    pub fn start(manifest: &Path, data: &Path, arguments: &[&str], folder: Arc<TempDir>) -> Host {
        match Host::try_start(manifest, data, arguments, &[], folder) {
            Ok(host) => host,
            Err(reason) => panic!("{reason}"),
        }
    }

    /// The same with variables of the environment; an error, with what it wrote, where it does not listen.
    pub fn try_start(
        manifest: &Path,
        data: &Path,
        arguments: &[&str],
        environment: &[(&str, &str)],
        folder: Arc<TempDir>,
    ) -> Result<Host, String> {
        let mut all = vec!["up", "--manifest", text(manifest), "--data", text(data)];
        all.extend(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
        all.extend(arguments);
        Host::try_start_as(&all, environment, folder)
    }

    /// The same with these arguments alone.
    pub(crate) fn try_start_as(
        arguments: &[&str],
        environment: &[(&str, &str)],
        folder: Arc<TempDir>,
    ) -> Result<Host, String> {
        Host::await_ready(Process::spawn(arguments, environment, None), folder)
    }

    /// Runs `bulkhead` with these arguments alone, in this folder.
    #[track_caller]
    pub fn start_in(current: &Path, arguments: &[&str], folder: Arc<TempDir>) -> Host {
        let process = Process::spawn(arguments, &[], Some(current));
        Host::await_ready(process, folder).unwrap_or_else(|reason| panic!("{reason}"))
    }

    /// Runs `bulkhead up` with these arguments, and has it write to `stderr` what it has to say.
    pub(crate) fn try_start_saying_to(
        arguments: &[&str],
        stderr: Stdio,
        folder: Arc<TempDir>,
    ) -> Result<Host, String> {
        Host::await_ready(Process::spawn_saying_to(arguments, &[], None, Some(stderr)), folder)
    }

    /// The same as [`Self::try_start`], with something that is done with the process before it is waited for.
    pub(crate) fn try_start_while(
        manifest: &Path,
        data: &Path,
        folder: Arc<TempDir>,
        meanwhile: impl FnOnce(Pid),
    ) -> Result<Host, String> {
        let mut all = vec!["up", "--manifest", text(manifest), "--data", text(data)];
        all.extend(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
        let process = Process::spawn(&all, &[], None);
        meanwhile(process.pid());
        Host::await_ready(process, folder)
    }

    fn await_ready(process: Process, folder: Arc<TempDir>) -> Result<Host, String> {
        let mut admin_address = None;
        loop {
            match process.lines.recv_timeout(PROCESS_BOUND) {
                Ok(line) => {
                    if let Some(address) = address_after(ADMIN_LINE, &line) {
                        admin_address = Some(address);
                    } else if let Some(address) = address_after(READY_LINE, &line) {
                        compiled::keep(&folder.path().join("data"));
                        return Ok(Host { process, address, admin_address, _folder: folder });
                    }
                }
                Err(reason) => {
                    return Err(format!(
                        "the host does not listen ({reason}); it wrote:\n{}",
                        process.stderr()
                    ));
                }
            }
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where its admin port listens, if it has one.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin_address
    }

    /// How it ended, if it has ended by itself.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.process.child.try_wait().expect("a child can be asked for")
    }

    /// A new client with a connection of its own.
    pub fn client(&self) -> Client {
        Client::new(self.address)
    }

    /// A new client that is logged in as the administrator of the shop.
    #[track_caller]
    pub fn admin(&self) -> Client {
        let mut client = self.client();
        let token = shop::log_in(&mut client, shop::ADMIN_EMAIL, ADMIN_PASSWORD);
        client.with_token(&token)
    }

    /// A new client that is logged in as a new customer with this first name.
    #[track_caller]
    pub fn customer(&self, first_name: &str) -> Customer {
        let mut client = self.client();
        let user = shop::register(&mut client, first_name);
        let token = shop::log_in(&mut client, user["email"].as_str().expect("an email"), shop::PASSWORD);
        Customer { id: shop::id(&user), client: client.with_token(&token) }
    }

    /// What it has written to standard error so far.
    pub fn stderr(&self) -> String {
        self.process.stderr()
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.process.child.id()
    }

    /// Ends it at once, as a power cut would (SIGKILL), and waits until it is gone.
    pub fn kill(mut self) {
        self.process.child.kill().expect("the host can be killed");
        self.process.child.wait().expect("the host ends");
    }

    /// Asks it to end (SIGTERM), and does not wait.
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Asks it to end as a user at a terminal does (SIGINT), and does not wait.
    pub fn interrupt(&self) {
        self.signal(Signal::INT);
    }

    /// Has it reload its manifest (SIGHUP), and does not wait.
    pub fn hang_up(&self) {
        self.signal(Signal::HUP);
    }

    fn signal(&self, signal: Signal) {
        kill_process(self.process.pid(), signal).expect("the host takes signals");
    }

    /// Waits until it ends by itself.
    #[track_caller]
    pub fn wait(self) -> Finished {
        self.process.finish()
    }

    /// Asks it to end (SIGTERM), waits, and checks that it ended well.
    #[track_caller]
    pub fn stop(self) -> Finished {
        self.terminate();
        let finished = self.wait();
        assert_eq!(finished.status.code(), Some(0), "the host did not end well:\n{}", finished.stderr);
        finished
    }
}

/// The address that a line of the host gives, if it begins so.
fn address_after(beginning: &str, line: &str) -> Option<SocketAddr> {
    let address = line.strip_prefix(beginning)?.trim();
    Some(address.parse().expect("the host prints an address"))
}

/// A customer of the shop.
#[derive(Debug)]
pub struct Customer {
    /// Their id.
    pub id: String,
    /// A client that is logged in as them.
    pub client: Client,
}

/// A process that has ended.
#[derive(Debug)]
pub struct Finished {
    /// How it ended.
    pub status: ExitStatus,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
}

impl Finished {
    /// Checks that it gave up with this exit status, and that what it wrote contains each of these texts.
    #[track_caller]
    pub fn says(&self, status: i32, texts: &[&str]) {
        assert_eq!(self.status.code(), Some(status), "{}", self.stderr);
        for text in texts {
            assert!(self.stderr.contains(text), "{text:?} is not in:\n{}", self.stderr);
        }
        // A guest that panics logs where, in another form.
        assert!(!self.stderr.contains("panicked at"), "{}", self.stderr);
    }
}

/// Runs `bulkhead` with these arguments to its end.
#[track_caller]
pub fn run(arguments: &[&str]) -> Finished {
    run_with(arguments, &[])
}

/// The same with these variables in its environment.
#[track_caller]
pub fn run_with(arguments: &[&str], environment: &[(&str, &str)]) -> Finished {
    Process::spawn(arguments, environment, None).finish()
}

/// The same in this folder.
#[track_caller]
pub fn run_in(folder: &Path, arguments: &[&str]) -> Finished {
    Process::spawn(arguments, &[], Some(folder)).finish()
}

/// Runs `bulkhead up`, and kills it after so long, or as soon as it says something.
pub(crate) fn kill_while_starting(manifest: &Path, data: &Path, after: Duration) {
    let mut all = vec!["up", "--manifest", text(manifest), "--data", text(data)];
    all.extend(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
    let process = Process::spawn(&all, &[], None);
    let _ = process.lines.recv_timeout(after);
    // It is killed when it is dropped.
    drop(process);
}

/// A child process whose output is read as it comes.
#[derive(Debug)]
struct Process {
    child: Child,
    lines: Receiver<String>,
    stderr: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

impl Process {
    #[track_caller]
    fn spawn(arguments: &[&str], environment: &[(&str, &str)], folder: Option<&Path>) -> Process {
        Process::spawn_saying_to(arguments, environment, folder, None)
    }

    /// Where standard error is to be somewhere else, nothing of it is read here.
    #[track_caller]
    fn spawn_saying_to(
        arguments: &[&str],
        environment: &[(&str, &str)],
        folder: Option<&Path>,
        elsewhere: Option<Stdio>,
    ) -> Process {
        let mut command = Command::new(paths::program("bulkhead"));
        if let Some(folder) = folder {
            command.current_dir(folder);
        }
        // What the developer has set must not change what a test sees.
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(|name| name.starts_with("BULKHEAD_") || name == "RUST_LOG") {
                command.env_remove(name);
            }
        }
        command.env("SHOP_ADMIN_PASSWORD", ADMIN_PASSWORD).envs(environment.iter().copied());
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped());
        command.stderr(elsewhere.unwrap_or_else(Stdio::piped));
        let mut child = command.spawn().expect("the host can be run");
        let (sender, lines) = channel();
        let stdout = child.stdout.take().expect("standard output is a pipe");
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                // Nobody may be listening any more; reading on keeps the pipe from filling up.
                let _ = sender.send(line);
            }
        });
        let stderr = Arc::new(Mutex::new(String::new()));
        let reader = child.stderr.take().map(|pipe| {
            let stderr = Arc::clone(&stderr);
            thread::spawn(move || read_into(pipe, &stderr))
        });
        Process { child, lines, stderr, reader }
    }

    fn pid(&self) -> Pid {
        i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("a process id")
    }

    fn stderr(&self) -> String {
        self.stderr.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for the end: standard output closes then, which is an event that can be waited for with a bound.
    #[track_caller]
    fn finish(mut self) -> Finished {
        let mut stdout = String::new();
        loop {
            match self.lines.recv_timeout(PROCESS_BOUND) {
                Ok(line) => {
                    stdout.push_str(&line);
                    stdout.push('\n');
                }
                Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => break,
                Err(reason) => panic!("the host does not end ({reason}); it wrote:\n{}", self.stderr()),
            }
        }
        let status = self.child.wait().expect("the host ends");
        if let Some(reader) = self.reader.take() {
            reader.join().expect("standard error was read");
        }
        Finished { status, stdout, stderr: self.stderr() }
    }
}

#[expect(clippy::print_stderr, reason = "a test that failed shows what its host had to say")]
impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the host wrote:\n{}", self.stderr());
        }
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if !std::thread::panicking() {
            let wrote = self.stderr();
            assert!(!wrote.contains(UNDECLARED), "a route answered with what it does not declare:\n{wrote}");
        }
    }
}

fn read_into(mut pipe: impl Read, text: &Mutex<String>) {
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = pipe.read(&mut buffer) {
        let read = String::from_utf8_lossy(&buffer[..count]);
        text.lock().unwrap_or_else(PoisonError::into_inner).push_str(&read);
    }
}
