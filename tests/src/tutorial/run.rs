//! Doing what a page says.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command as Process, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use super::{Block, Command};

/// No command takes longer.
const PATIENCE: Duration = Duration::from_secs(600);
/// A host that is told to end has so long.
const END_PATIENCE: Duration = Duration::from_secs(30);
/// Keeps the variables from one command to the next.
const STATE: &str = ".tutorial-state";

/// Follows a page, in a folder.
pub struct Follower {
    folder: PathBuf,
    /// What stands in the page, and what it is here.
    replaced: Vec<(String, String)>,
    /// Those that go on running, until this is dropped.
    hosts: Vec<Child>,
}

impl Follower {
    /// Works in `folder`. Each of `replaced` is a text of the page and what it is here: an address, say, where that of the page is taken.
    #[must_use]
    pub fn new(folder: PathBuf, replaced: Vec<(String, String)>) -> Self {
        Self { folder, replaced, hosts: Vec::new() }
    }

    /// Does what a block says, and holds what comes of it against what it shows.
    ///
    /// # Panics
    ///
    /// When something else comes of it.
    pub fn follow(&mut self, block: &Block) {
        match block {
            Block::Console(commands) => commands.iter().for_each(|command| self.run(command)),
            Block::Host(command) => self.start(command),
            Block::File { path, text } => {
                let path = self.folder.join(path);
                fs::create_dir_all(path.parent().expect("a file is in a folder"))
                    .expect("the folder is made");
                fs::write(path, text).expect("the file is written");
            }
            Block::Change { line, path, from, to } => {
                let path = self.folder.join(path);
                let text = fs::read_to_string(&path)
                    .unwrap_or_else(|error| panic!("line {line}: {}: {error}", path.display()));
                assert_eq!(
                    text.matches(from).count(),
                    1,
                    "line {line}: this is in {} once:\n{from}",
                    path.display()
                );
                fs::write(path, text.replacen(from, to, 1)).expect("the file is written");
            }
        }
    }

    fn here(&self, text: &str) -> String {
        self.replaced.iter().fold(text.to_owned(), |text, (page, here)| text.replace(page, here))
    }

    fn bash(&self, script: &str) -> Process {
        let mut process = Process::new("bash");
        process.args(["-c", script]).current_dir(&self.folder).process_group(0).stdin(Stdio::null());
        process
    }

    fn run(&self, command: &Command) {
        let typed = self.here(&command.text);
        // What a command sets is exported, and so is there for the next, as its functions are.
        let script = format!(
            "set -a; exec 2>&1; [ -f {STATE} ] && . ./{STATE}\n{typed}\nstatus=$?; {{ export -p; declare -f; }} > {STATE}; exit $status"
        );
        let mut child = self.bash(&script).stdout(Stdio::piped()).spawn().expect("bash runs");
        let lines = lines_of(&mut child);
        let (found, ended) = all(&lines, Instant::now() + PATIENCE);
        if !ended {
            let _ = rustix::process::kill_process_group(pid(&child), rustix::process::Signal::KILL);
        }
        let status = child.wait().expect("bash ends");
        let place = format!("line {}: $ {typed}", command.line);
        assert!(ended, "{place}\ndoes not end; it has shown:\n{}", found.join("\n"));
        assert_eq!(
            status.success(),
            !command.fails,
            "{place}\nends with {status}, and shows:\n{}",
            found.join("\n")
        );
        let shows: Vec<String> = command.shows.iter().map(|line| self.here(line)).collect();
        assert!(
            matches(&shows, &found),
            "{place}\nis to show:\n{}\n\nand shows:\n{}",
            shows.join("\n"),
            found.join("\n")
        );
    }

    /// Starts a command, and waits until it has shown all that is to be seen at first.
    fn start(&mut self, command: &Command) {
        let typed = self.here(&command.text);
        let mut child =
            self.bash(&format!("exec 2>&1\n{typed}")).stdout(Stdio::piped()).spawn().expect("bash runs");
        let lines = lines_of(&mut child);
        self.hosts.push(child);
        let shows: Vec<String> = command.shows.iter().map(|line| self.here(line)).collect();
        let (deadline, mut found) = (Instant::now() + PATIENCE, Vec::new());
        while !matches(&shows, &found) {
            match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => found.push(line),
                Err(_) => panic!(
                    "line {}: $ {typed}\nis to show:\n{}\n\nand shows:\n{}",
                    command.line,
                    shows.join("\n"),
                    found.join("\n")
                ),
            }
        }
        // It must not stand still for want of a reader.
        thread::spawn(move || lines.iter().for_each(drop));
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        for host in &mut self.hosts {
            let _ = rustix::process::kill_process_group(pid(host), rustix::process::Signal::TERM);
            let until = Instant::now() + END_PATIENCE;
            while Instant::now() < until && matches!(host.try_wait(), Ok(None)) {
                thread::park_timeout(Duration::from_millis(20));
            }
            let _ = rustix::process::kill_process_group(pid(host), rustix::process::Signal::KILL);
            let _ = host.wait();
        }
    }
}

fn pid(child: &Child) -> rustix::process::Pid {
    let number = i32::try_from(child.id()).expect("a process id");
    rustix::process::Pid::from_raw(number).expect("a process id is more than 0")
}

/// The lines of a process's output, as they come.
fn lines_of(child: &mut Child) -> Receiver<String> {
    let output = BufReader::new(child.stdout.take().expect("its output is piped"));
    let (send, lines) = channel();
    thread::spawn(move || {
        for line in output.lines().map_while(Result::ok) {
            if send.send(line).is_err() {
                break;
            }
        }
    });
    lines
}

/// All lines until the output ends, and whether it did before `deadline`.
fn all(lines: &Receiver<String>, deadline: Instant) -> (Vec<String>, bool) {
    let mut found = Vec::new();
    loop {
        match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) => found.push(line),
            Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => return (found, true),
            Err(std::sync::mpsc::RecvTimeoutError::Timeout) => return (found, false),
        }
    }
}

/// Whether the lines that are found are those that are shown.
fn matches(shown: &[String], found: &[String]) -> bool {
    match shown.split_first() {
        None => found.is_empty(),
        Some((any, rest)) if any == "…" => {
            (0..=found.len()).any(|skipped| matches(rest, found.get(skipped..).unwrap_or_default()))
        }
        Some((line, rest)) => match found.split_first() {
            Some((first, others)) => is_line(line, first) && matches(rest, others),
            None => false,
        },
    }
}

/// Whether a line is as it is shown.
fn is_line(shown: &str, found: &str) -> bool {
    let parts: Vec<&str> = shown.split('…').collect();
    let [first, middle @ .., last] = parts.as_slice() else { return shown == found };
    let rest = found.strip_prefix(first).and_then(|rest| rest.strip_suffix(last));
    let behind = |rest: Option<usize>, part: &&str| {
        let rest = rest?;
        found.get(rest..)?.find(part).map(|at| rest + at + part.len())
    };
    match rest {
        None => false,
        Some(inner) => {
            middle.iter().fold(Some(first.len()), behind).is_some_and(|end| end <= first.len() + inner.len())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_match_any_text_and_any_lines() {
        for (shown, found, expected) in [
            ("a", "a", true),
            ("a", "ab", false),
            ("a…", "abc", true),
            ("…c", "abc", true),
            ("…b", "abc", false),
            ("a…c…e", "abcde", true),
            ("a…x…e", "abcde", false),
            ("…", "", true),
        ] {
            assert_eq!(is_line(shown, found), expected, "{shown} {found}");
        }
        let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
        for (shown, found, expected) in [
            ("", "", true),
            ("", "a", false),
            ("…", "a\nb", true),
            ("a\n…\nd", "a\nb\nc\nd", true),
            ("a\n…\nd", "a\nb\nc", false),
            ("…\nb\n…", "a\nb\nc", true),
        ] {
            assert_eq!(matches(&lines(shown), &lines(found)), expected, "{shown:?} {found:?}");
        }
    }
}
