//! Checks of the addresses that the host listens on, and of the number of connections that it can have.
//!
//! To see whether an address is free, the check does not listen on it ([`bound`]).

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use bulkhead_manifest::HOST_PATHS;
use bulkhead_manifest::Manifest;
use bulkhead_manifest::address::refused;
use bulkhead_types::limits::CONNECTIONS_MAX;
use rustix::process::{Resource, getrlimit};
use tokio::net::TcpSocket;

use super::Check;

/// How long to wait for a process that listens on an address.
const ANSWER_WAIT: Duration = Duration::from_millis(500);
/// Below this limit of open files there is a warning: databases, WALs and connections each need some.
const FILES_MIN: u64 = 1024;

/// `held`: a host holds the data folder. `admin_asked`: the command line named the admin port.
pub(super) fn checks(manifest: &Manifest, admin_asked: bool, held: bool) -> Vec<Check> {
    let Manifest { listen, admin, .. } = manifest;
    let mut checks = vec![port("listen", *listen, held)];
    let admin_check = match (port("admin", *admin, held), manifest.clash_of_addresses()) {
        _ if !admin.ip().is_loopback() => Check::wrong(
            "port admin",
            format!("{admin} can be reached from other machines"),
            "give an address of this one, for example --admin 127.0.0.1:9090",
        ),
        (_, Some(clash)) => Check::reported("port admin", &clash, "give another port"),
        // The host chooses another port by itself, unless the command line named this one.
        (check, None) if check.remedy.is_some() && !admin_asked && is_in_use(*admin) => Check::warning(
            "port admin",
            format!("{}; `bulkhead up` takes another one, which `bulkhead status` finds", check.found),
            "nothing needs to be done; or choose another address with application.admin",
        ),
        (check, None) => check,
    };
    checks.push(admin_check);
    checks
}

fn is_in_use(address: SocketAddr) -> bool {
    bound(address).is_err_and(|error| error.kind() == ErrorKind::AddrInUse)
}

/// A socket bound to this address, without listening. Fails if another process listens on the address. On Linux it does not prevent a host
/// from using the address: both set `SO_REUSEADDR`, and so can share the address until one of them listens (socket(7)).
fn bound(address: SocketAddr) -> std::io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

fn port(option: &str, address: SocketAddr, held: bool) -> Check {
    let name = format!("port {option}");
    let elsewhere = format!("choose another address with --{option} or application.{option}");
    // The socket is already closed when the result is known.
    let error = match bound(address).map(drop) {
        Ok(()) if address.port() == 0 => {
            return Check::ok(name, format!("{address}: the system chooses the port"));
        }
        Ok(()) => return Check::ok(name, format!("{address} is free")),
        Err(error) => error,
    };
    match error.kind() {
        ErrorKind::AddrInUse if !is_host(address) => {
            let (found, remedy) = refused(&error, address, option);
            Check::wrong(name, found, remedy)
        }
        // From outside the two cases look the same. One application rarely has two hosts.
        ErrorKind::AddrInUse if held => Check::warning(
            name,
            format!(
                "a Bulkhead host listens on {address}, and one holds this data folder: the application runs already"
            ),
            format!("stop it before you start another one, or {elsewhere}"),
        ),
        ErrorKind::AddrInUse => Check::wrong(
            name,
            format!("a Bulkhead host listens on {address}, which does not hold this data folder"),
            format!("stop it, or {elsewhere}"),
        ),
        _ => {
            let (found, remedy) = refused(&error, address, option);
            Check::wrong(name, found, remedy)
        }
    }
}

/// Whether a Bulkhead host answers there: a host answers the liveness request on both of its ports.
fn is_host(address: SocketAddr) -> bool {
    let ask = || {
        let mut stream = TcpStream::connect_timeout(&address, ANSWER_WAIT)?;
        stream.set_read_timeout(Some(ANSWER_WAIT))?;
        stream.set_write_timeout(Some(ANSWER_WAIT))?;
        write!(stream, "GET {HOST_PATHS}/live HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n")?;
        let mut answer = Vec::new();
        stream.take(4096).read_to_end(&mut answer)?;
        std::io::Result::Ok(answer)
    };
    ask().is_ok_and(|answer| answer.starts_with(b"HTTP/1.1 200 ") && answer.ends_with(b"\r\n\r\nlive\n"))
}

/// How many files the host may have open. Each connection needs one, and each database needs some.
pub(super) fn open_files() -> Check {
    enough(getrlimit(Resource::Nofile).current)
}

/// None means no limit.
fn enough(limit: Option<u64>) -> Check {
    let Some(limit) = limit else { return Check::ok("open files", "as many as it takes") };
    let connections = u64::try_from(CONNECTIONS_MAX).unwrap_or(u64::MAX);
    if limit < FILES_MIN {
        let found = format!("{limit} at a time, and the host takes {connections} connections");
        return Check::warning("open files", found, format!("ulimit -n {}", 2 * connections));
    }
    let found = if limit < connections {
        format!(
            "{limit} at a time: so many connections can't be more, of the {connections} that the host takes"
        )
    } else {
        format!("{limit} at a time, for {connections} connections at most")
    };
    Check::ok("open files", found)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::doctor::State;

    #[test]
    #[cfg(target_os = "linux")]
    fn check_of_an_address_does_not_prevent_a_host_from_binding_it() {
        for any in ["127.0.0.1:0", "[::1]:0"] {
            // A machine may have no IPv6.
            let Ok(free) = TcpListener::bind(any) else { continue };
            let address = free.local_addr().unwrap();
            assert_eq!(bound(address).unwrap_err().kind(), ErrorKind::AddrInUse);
            drop(free);
            let looks = bound(address).unwrap();
            let host = TcpListener::bind(address).unwrap();
            TcpStream::connect(address).unwrap();
            drop((looks, host));
        }
    }

    #[test]
    fn low_limit_of_open_files_gives_a_warning() {
        for (limit, state) in [
            (Some(FILES_MIN - 1), State::Warning),
            (Some(FILES_MIN), State::Ok),
            (Some(1 << 20), State::Ok),
            (None, State::Ok),
        ] {
            assert_eq!(enough(limit).state, state, "{limit:?}");
        }
    }

    #[test]
    fn port_is_free_in_use_or_not_of_this_machine() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        // This listener never answers.
        let check = port("listen", address, true);
        assert_eq!(check.state, State::Wrong);
        assert!(check.found.contains(&address.to_string()), "{check:?}");
        assert_eq!(port("listen", "127.0.0.1:0".parse().unwrap(), false).state, State::Ok);
        let check = port("admin", "192.0.2.1:9090".parse().unwrap(), false);
        assert_eq!((check.state, check.found.contains("does not have")), (State::Wrong, true), "{check:?}");
    }
}
