//! A service: its routes, subscriptions and migrations, put together once per instance.

use crate::database::Transaction;
use crate::event::{Event, HandleError, Received, Subscription};
use crate::extract::{Context, Handler, Request, RouteDescription};
use crate::migration::Migration;
use crate::problem::{Problem, Result};
use crate::response::Response;
use crate::router::{Found, Router, parameter_names};
use crate::wit::bulkhead::service::types;
use crate::wit::exports::bulkhead::service::describe::{Description, Parameter, Route as RouteRecord};
use crate::wit::exports::bulkhead::service::migrations::Migration as MigrationRecord;

/// A service. See the crate's page for an example.
#[derive(Default)]
pub struct Service {
    summary: &'static str,
    router: Router<Box<Call>>,
    /// In the order of their definition.
    descriptions: Vec<RouteEntry>,
    subscriptions: Vec<Subscription>,
    publishes: Vec<&'static str>,
    migrations: Vec<Migration>,
}

type Call = dyn Fn(&Context<'_>) -> Result<Response> + Send + Sync;

struct RouteEntry {
    method: &'static str,
    path: &'static str,
    summary: &'static str,
    describe: fn(&mut RouteDescription),
}

impl Service {
    /// A service without anything. The summary is one sentence.
    pub fn new(summary: &'static str) -> Self {
        Self { summary, ..Self::default() }
    }

    /// Adds a route that reads. A handler that may write does not compile here.
    #[must_use]
    pub fn get<A, H: Handler<A>>(self, path: &'static str, summary: &'static str, handler: H) -> Self {
        const { assert!(!H::WRITES, "a handler of GET takes a Snapshot, not a Transaction") };
        self.route("GET", path, summary, handler)
    }

    /// Adds a route for POST.
    #[must_use]
    pub fn post<A, H: Handler<A>>(self, path: &'static str, summary: &'static str, handler: H) -> Self {
        self.route("POST", path, summary, handler)
    }

    /// Adds a route for PUT.
    #[must_use]
    pub fn put<A, H: Handler<A>>(self, path: &'static str, summary: &'static str, handler: H) -> Self {
        self.route("PUT", path, summary, handler)
    }

    /// Adds a route for PATCH.
    #[must_use]
    pub fn patch<A, H: Handler<A>>(self, path: &'static str, summary: &'static str, handler: H) -> Self {
        self.route("PATCH", path, summary, handler)
    }

    /// Adds a route for DELETE.
    #[must_use]
    pub fn delete<A, H: Handler<A>>(self, path: &'static str, summary: &'static str, handler: H) -> Self {
        self.route("DELETE", path, summary, handler)
    }

    /// Takes events of a type.
    #[must_use]
    pub fn on<E: Event + 'static>(
        mut self,
        handler: impl Fn(Received<E>, Transaction) -> core::result::Result<(), HandleError>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        self.subscriptions.push(Subscription::new(handler));
        self
    }

    /// Says that it may publish events of a type.
    #[must_use]
    pub fn publishes<E: Event>(mut self) -> Self {
        self.publishes.push(E::TYPE);
        self
    }

    /// Adds the next step of the schema: see [`migration!`](crate::migration).
    #[must_use]
    pub fn migration(mut self, migration: Migration) -> Self {
        self.migrations.push(migration);
        self
    }

    /// A route that can't work is refused when the service is made, so it shows when the component is loaded and in every native
    /// test: one whose path has not the parameters that its handler takes, and one that is there already.
    fn route<A, H: Handler<A>>(
        mut self,
        method: &'static str,
        path: &'static str,
        summary: &'static str,
        handler: H,
    ) -> Self {
        let parameters = parameter_names(path).count();
        if parameters != H::PATH_PARAMETERS {
            let taken = H::PATH_PARAMETERS;
            refuse(method, path, &format!("has {parameters} path parameters, and its handler takes {taken}"));
        }
        let call = Box::new(move |context: &Context<'_>| handler.call(context));
        if !self.router.add(method, path, call) {
            refuse(method, path, "is there already");
        }
        self.descriptions.push(RouteEntry { method, path, summary, describe: H::describe });
        self
    }

    /// Answers a request.
    pub fn handle(&self, request: &Request) -> Response {
        let mut response =
            self.answer(request).unwrap_or_else(|problem| problem.into_response(&request.trace_id));
        if request.method == "HEAD" {
            response.body.clear();
        }
        response
    }

    fn answer(&self, request: &Request) -> Result<Response> {
        match self.router.find(&request.method, &request.path) {
            Found::Route(call, captures) => call(&Context { request, captures }),
            Found::OtherMethods(allow) => Err(Problem::method_not_allowed(allow)),
            Found::Nothing => Err(Problem::not_found("there is nothing at this path")),
        }
    }

    /// Takes an event.
    pub fn handle_event(&self, event: types::Event) -> core::result::Result<(), HandleError> {
        match self.subscriptions.iter().find(|subscription| subscription.event_type == event.type_) {
            Some(subscription) => (subscription.handle)(event),
            None => Err(HandleError::Reject(format!("no handler for the type {}", event.type_))),
        }
    }

    /// What the service is.
    pub fn description(&self) -> Description {
        Description {
            summary: self.summary.to_owned(),
            routes: self.descriptions.iter().map(RouteEntry::record).collect(),
            subscribes: self
                .subscriptions
                .iter()
                .map(|subscription| subscription.event_type.to_owned())
                .collect(),
            publishes: self.publishes.iter().map(|event_type| (*event_type).to_owned()).collect(),
        }
    }

    /// The steps of the schema.
    pub fn migrations(&self) -> Vec<MigrationRecord> {
        self.migrations.iter().map(Migration::record).collect()
    }
}

#[expect(
    clippy::panic,
    reason = "no request has part in it: it happens at once, at load and in every test, or never"
)]
fn refuse(method: &str, path: &str, why: &str) -> ! {
    panic!("the route {method} {path} {why}")
}

impl RouteEntry {
    fn record(&self) -> RouteRecord {
        let mut description = RouteDescription::default();
        (self.describe)(&mut description);
        let path_parameters = parameter_names(self.path)
            .zip(description.path)
            .map(|(name, schema)| Parameter {
                name: name.to_owned(),
                required: true,
                schema: schema.to_string(),
                description: String::new(),
            })
            .collect();
        let query_parameters = description
            .query
            .into_iter()
            .map(|parameter| Parameter {
                name: parameter.name.to_owned(),
                required: parameter.required,
                schema: parameter.schema.to_string(),
                description: parameter.description.to_owned(),
            })
            .collect();
        RouteRecord {
            method: self.method.to_owned(),
            path: self.path.to_owned(),
            summary: self.summary.to_owned(),
            path_parameters,
            query_parameters,
            request_schema: description.request_schema.map(|schema| schema.to_string()),
            status: description.status,
            response_schema: description.response_schema.map(|schema| schema.to_string()),
            access: description.access,
            computes: description.computes,
        }
    }
}
