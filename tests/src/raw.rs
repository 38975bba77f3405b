//! Bytes on a socket, for requests that no client library would send.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::client::Answer;

/// No byte within this time fails the test.
const READ_BOUND: Duration = Duration::from_secs(60);

/// Sends these bytes and reads one answer; none where the host closed the connection without one.
pub fn exchange(address: SocketAddr, bytes: &[u8]) -> Option<Answer> {
    let mut stream = open(address);
    // The host may answer and close before all is sent; what it said can be read all the same.
    let _ = stream.write_all(bytes);
    read_answer(&mut stream)
}

/// A connection with a bound on reads.
pub fn open(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("the host takes connections");
    stream.set_read_timeout(Some(READ_BOUND)).expect("a time-out can be set");
    stream.set_write_timeout(Some(READ_BOUND)).expect("a time-out can be set");
    stream
}

/// Reads one answer with its body; none where the connection ends before its head is complete.
pub fn read_answer(stream: &mut TcpStream) -> Option<Answer> {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        if !read_more(stream, &mut bytes) {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..head_end].to_vec()).expect("an answer's head is text");
    let mut lines = head.lines();
    let status_line = lines.next().unwrap_or_default();
    let status = status_line.split(' ').nth(1).and_then(|status| status.parse().ok());
    let mut headers = HeaderMap::new();
    for line in lines.filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':').unwrap_or_else(|| panic!("not a header: {line:?}"));
        headers.append(
            name.parse::<HeaderName>().expect("a header's name"),
            value.trim().parse::<HeaderValue>().expect("a header's value"),
        );
    }
    let length = match status {
        Some(100..200) => Some(0),
        _ => headers.get("content-length").and_then(|length| length.to_str().ok()?.parse().ok()),
    };
    while length.is_none_or(|length: usize| bytes.len() < head_end + length) {
        if !read_more(stream, &mut bytes) {
            break;
        }
    }
    Some(Answer {
        asked: "a raw request".to_owned(),
        status: status.unwrap_or_else(|| panic!("not a status line: {status_line:?}")),
        headers,
        body: Bytes::copy_from_slice(&bytes[head_end..]),
    })
}

/// Ends the sending side: the host sees a client that goes away.
pub fn hang_up(stream: &TcpStream) {
    // It may be closed already.
    let _ = stream.shutdown(Shutdown::Both);
}

/// Reads what there is; false at the end of the connection.
fn read_more(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> bool {
    let mut buffer = [0; 4096];
    match stream.read(&mut buffer) {
        Ok(0) => false,
        Ok(count) => {
            bytes.extend_from_slice(&buffer[..count]);
            true
        }
        Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => false,
        Err(error) => panic!("no answer within {} s: {error}", READ_BOUND.as_secs()),
    }
}
