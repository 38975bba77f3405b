//! A log that can't be read ends no token by itself, and lets none count: see also `identity.rs`.

use bulkhead_tests::admin::until;
use bulkhead_tests::{Site, database};

/// An event that nobody can read, in the log of the service whose events end tokens.
const UNREADABLE: &str = "INSERT INTO _bulkhead_outbox (id, type, subject, time, trace_id, data)
    VALUES ('unreadable', 'test.unreadable', CAST(x'ff' AS TEXT), '2026-01-01T00:00:00.000Z', '00000000000000000000000000000001', '{}')";
const READABLE: &str = "UPDATE _bulkhead_outbox SET subject = 'readable' WHERE id = 'unreadable'";

#[test]
fn no_token_is_accepted_while_the_revocation_log_is_unreadable() {
    let site = Site::shop();
    let host = site.start();
    let (mut ada, mut bo, mut admin) = (host.customer("Ada"), host.customer("Bo"), host.admin());
    bo.client.get(&format!("/users/{}", bo.id)).expect(200);
    let connection = database::open_to_break(&site.database("user"));
    connection.execute(UNREADABLE, ()).unwrap();

    // Her token has ended, durably; but who can tell?
    ada.client.delete(&format!("/users/{}", ada.id)).expect(204);
    for _ in 0..20 {
        ada.client.get("/orders").problem(503, "unavailable");
        ada.client.get("/products").problem(503, "unavailable");
    }
    bo.client.get(&format!("/users/{}", bo.id)).problem(503, "unavailable");
    admin.get("/users").problem(503, "unavailable");
    // Who sends no token needs none.
    let mut nobody = host.client();
    nobody.get("/products").expect(200);

    connection.execute(READABLE, ()).unwrap();
    until("the log is read again", || Some(()).filter(|()| admin.get("/users").status == 200));
    ada.client.get("/orders").problem(401, "invalid-token");
    ada.client.get("/products").problem(401, "invalid-token");
    bo.client.get(&format!("/users/{}", bo.id)).expect(200);
    host.stop();
}
