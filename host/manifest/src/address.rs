//! Addresses to listen on: their syntax, and why the system refuses one.

use std::io::{Error, ErrorKind};
use std::net::{SocketAddr, ToSocketAddrs as _};

/// Parses an address with a port: `127.0.0.1:8080`, `[::1]:8080`, or a host name, `localhost:8080`. A name with several addresses means its
/// first IPv4 address, so that it means the same everywhere.
///
/// # Errors
///
/// What is wrong with the text.
pub fn parse(text: &str) -> Result<SocketAddr, String> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let Some((name, port)) = text.rsplit_once(':').filter(|(name, _)| !name.is_empty()) else {
        return Err(format!("{text:?} is not an address with a port"));
    };
    if port.parse::<u16>().is_err() {
        return Err(format!("{text:?} has a port that is not a number from 0 to 65535"));
    }
    if name.contains([':', '[', ']', '/']) {
        return Err(format!("{text:?} is not an address with a port; one of IPv6 is written [::1]:8080"));
    }
    let found = text
        .to_socket_addrs()
        .map_err(|error| format!("the name {name:?} has no address that this machine knows: {error}"))?;
    let found: Vec<SocketAddr> = found.collect();
    let first = found.iter().find(|address| address.is_ipv4()).or(found.first());
    first.copied().ok_or_else(|| format!("the name {name:?} has no address"))
}

/// Why the host can't listen on an address, and what to do. `option` is the option that gave the address, without dashes.
pub fn refused(error: &Error, address: SocketAddr, option: &str) -> (String, String) {
    let elsewhere = format!("choose another address with --{option} or application.{option}");
    match error.kind() {
        ErrorKind::AddrInUse => {
            (format!("another process listens on {address}"), format!("stop it, or {elsewhere}"))
        }
        ErrorKind::AddrNotAvailable => (
            format!("this machine does not have the address {address}"),
            format!("{elsewhere}: one of this machine, or 0.0.0.0 for all that it has"),
        ),
        ErrorKind::PermissionDenied => (
            format!("this user may not listen on {address}: ports below 1024 are the system's"),
            format!(
                "{elsewhere}, or give the right with `setcap cap_net_bind_service=+ep` on the command's file"
            ),
        ),
        _ => (format!("nobody can listen on {address}: {error}"), elsewhere),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_is_read_unchanged_and_a_name_is_resolved() {
        for (text, expected) in [
            ("127.0.0.1:8080", "127.0.0.1:8080"),
            ("[::1]:8080", "[::1]:8080"),
            ("localhost:8282", "127.0.0.1:8282"),
            ("localhost:0", "127.0.0.1:0"),
        ] {
            assert_eq!(parse(text).unwrap().to_string(), expected, "{text}");
        }
        for (text, expected) in [
            ("nowhere", "\"nowhere\" is not an address with a port"),
            (":8080", "\":8080\" is not an address with a port"),
            ("", "is not an address with a port"),
            ("localhost:http", "a port that is not a number"),
            ("localhost:65536", "a port that is not a number"),
            ("::1:8080x", "a port that is not a number"),
            ("fe80::1%x:8080", "[::1]:8080"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
        // The name is longer than any name may be, so the resolver is not asked.
        let error = parse(&format!("{}:80", "x".repeat(300))).unwrap_err();
        assert!(error.contains("xxx\" has no address that this machine knows"), "{error}");
    }
}
