//! Two listeners of one application: what holds for the requests of one holds for those of the other.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;

use bulkhead_manifest::Manifest;
use bulkhead_server::application::Application;
use bulkhead_server::http::{Listening, serve};
use bulkhead_testing::Service;

const SHOP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../bulkhead.toml");

/// The status line of the answer to a request with these headers.
fn status_line(address: SocketAddr, headers: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    let request =
        format!("GET /.well-known/jwks.json HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.lines().next().unwrap_or_default().to_owned()
}

#[test]
fn an_invalid_token_is_refused_by_every_listener() {
    // So that the component is there.
    drop(Service::start("user"));
    let mut manifest = Manifest::read(Path::new(SHOP)).unwrap();
    manifest.services.retain(|name, _| name == "user");
    let folder = tempfile::tempdir().unwrap();
    manifest.data = folder.path().to_owned();
    let application = Arc::new(Application::start(&manifest).unwrap());
    let listen = || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        (Listening::application(listener, &application), address)
    };
    let (first, second) = (listen(), listen());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    for listening in [first.0, second.0] {
        runtime.spawn(serve(listening, std::future::pending()));
    }
    for address in [first.1, second.1] {
        assert_eq!(status_line(address, ""), "HTTP/1.1 200 OK");
        assert_eq!(status_line(address, "authorization: Bearer x.y.z\r\n"), "HTTP/1.1 401 Unauthorized");
    }
    runtime.shutdown_background();
    application.stop();
}
