//! What the service answers before it needs its database, and what it says of itself. The rest is tested over HTTP, with a host.

use bulkhead_sdk::serde_json::{self, Value};
use bulkhead_sdk::wit::exports::bulkhead::service::describe::Access;
use bulkhead_sdk::{Principal, Request};

use super::service;

fn get(roles: Option<&[&str]>, target: &str) -> (u16, Value) {
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let response = service().handle(&Request {
        method: "GET".to_owned(),
        path: path.to_owned(),
        query: query.map(str::to_owned),
        route: "/reports/...".to_owned(),
        headers: Vec::new(),
        body: Vec::new(),
        principal: roles.map(|roles| Principal {
            subject: "0198f3a1-7c3e-7d52-8a07-2f3c1d9b4e60".to_owned(),
            roles: roles.iter().map(|role| (*role).to_owned()).collect(),
            expires_at: None,
        }),
        peer: "127.0.0.1".to_owned(),
        caller: None,
        trace_id: "4bf92f3577b34da6a3ce929d0e0e4736".to_owned(),
    });
    (response.status, serde_json::from_slice(&response.body).expect("JSON"))
}

#[test]
fn query_errors_are_reported_per_parameter() {
    for (target, fields) in [
        ("/reports/revenue?from=x&to=2026-02-30&day=x", &["from", "to", "day"][..]),
        ("/reports/revenue?from=2026-01-02&to=2026-01-01", &["to"]),
        ("/reports/best-sellers?limit=0", &["limit"]),
        ("/reports/best-sellers?limit=201&cursor=x", &["limit", "cursor"]),
        ("/reports/orders-by-status?status=paid", &["status"]),
    ] {
        let (status, problem) = get(Some(&["admin"]), target);
        let errors = problem["errors"].as_array().expect("errors");
        let found: Vec<&str> = errors.iter().filter_map(|error| error["field"].as_str()).collect();
        assert_eq!((status, found.as_slice()), (422, fields), "{target}");
    }
}

#[test]
fn reports_are_for_admins_only() {
    for route in service().description().routes {
        assert!(matches!(&route.access, Access::Roles(roles) if *roles == ["admin"]), "{}", route.path);
        assert_eq!(get(None, &route.path).0, 401);
        assert_eq!(get(Some(&["customer"]), &route.path).0, 403);
    }
}

/// What the host asks of a service that it can rebuild.
#[test]
fn the_service_publishes_nothing_and_only_reads_over_http() {
    let description = service().description();
    assert!(description.publishes.is_empty());
    assert!(description.routes.iter().all(|route| route.method == "GET"));
    assert_eq!(
        description.subscribes,
        [
            "order.placed",
            "order.paid",
            "order.cancelled",
            "order.rejected",
            "order.shipped",
            "order.delivered",
            "product.stock-reserved",
            "product.changed",
            "category.changed"
        ]
    );
    for route in &description.routes {
        let parameters = route.query_parameters.iter().map(|parameter| &parameter.schema);
        for schema in parameters.chain(route.answers.iter().filter_map(|answer| answer.schema.as_ref())) {
            serde_json::from_str::<Value>(schema).unwrap_or_else(|error| panic!("{}: {error}", route.path));
        }
    }
}

#[test]
fn no_table_has_a_user_column() {
    for migration in service().migrations() {
        assert!(!migration.sql.contains("user_id"), "{}", migration.name);
    }
}

#[test]
fn the_migrations_are_numbered_from_one() {
    let versions: Vec<u32> = service().migrations().iter().map(|migration| migration.version).collect();
    assert_eq!(versions, [1]);
}
