//! A service: its routes, subscriptions and migrations, built once per instance.

use std::fmt;

use crate::context::{Context, Request, Routes};
use crate::database::{Reads, Transaction};
use crate::event::{Event, HandleError, Received};
use crate::extract::{Handler, RouteDescription};
use crate::migration::Migration;
use crate::precondition;
use crate::problem::{Problem, ProblemKind, Result};
use crate::response::{AnswerDescription, Response};
use crate::router::{Found, Router, parameter_names};
use crate::subscription::Subscription;
use crate::wit::bulkhead::service::types;
use crate::wit::exports::bulkhead::service::describe::{
    Answer as AnswerRecord, Description, Parameter, Problem as ProblemRecord, Route as RouteRecord,
};
use crate::wit::exports::bulkhead::service::migrations::Migration as MigrationRecord;

/// A service. See the crate's page for an example.
#[derive(Default)]
pub struct Service {
    summary: &'static str,
    /// To a position in `routes`.
    router: Router<usize>,
    /// In the order of their definition.
    routes: Vec<Route>,
    subscriptions: Vec<Subscription>,
    publishes: Vec<&'static str>,
    migrations: Vec<Migration>,
}

type Call = dyn Fn(&Context<'_>) -> Result<Response> + Send + Sync;

struct Route {
    method: &'static str,
    path: &'static str,
    summary: &'static str,
    describe: fn(&mut RouteDescription),
    call: Box<Call>,
    problems: Vec<ProblemKind>,
    repeatable: bool,
}

impl Service {
    /// A service without anything. The summary is one sentence.
    pub fn new(summary: &'static str) -> Self {
        Self { summary, ..Self::default() }
    }

    /// Adds a route that reads. A handler that may write does not compile here.
    #[must_use]
    #[track_caller]
    pub fn get<A, H: Handler<A>>(self, path: &'static str, summary: &'static str, handler: H) -> Self {
        const { assert!(!H::WRITES, "a handler of GET takes a Snapshot, not a Transaction") };
        self.route("GET", path, summary, handler)
    }

    /// Adds a route for POST.
    #[must_use]
    #[track_caller]
    pub fn post<A, H: Handler<A>>(self, path: &'static str, summary: &'static str, handler: H) -> Self {
        self.route("POST", path, summary, handler)
    }

    /// Adds a route for PUT.
    #[must_use]
    #[track_caller]
    pub fn put<A, H: Handler<A>>(self, path: &'static str, summary: &'static str, handler: H) -> Self {
        self.route("PUT", path, summary, handler)
    }

    /// Adds a route for PATCH.
    #[must_use]
    #[track_caller]
    pub fn patch<A, H: Handler<A>>(self, path: &'static str, summary: &'static str, handler: H) -> Self {
        self.route("PATCH", path, summary, handler)
    }

    /// Adds a route for DELETE.
    #[must_use]
    #[track_caller]
    pub fn delete<A, H: Handler<A>>(self, path: &'static str, summary: &'static str, handler: H) -> Self {
        self.route("DELETE", path, summary, handler)
    }

    /// Declares the problems of the service's own with which the route that was added last may answer: see [`problems!`](crate::problems).
    /// If the route answers with another one, a log line reports it as an error.
    #[must_use]
    #[track_caller]
    pub fn answers_with(mut self, problems: &[ProblemKind]) -> Self {
        match self.routes.last_mut() {
            Some(route) => route.problems.extend_from_slice(problems),
            None => refuse("", "", "is to be added before what it answers with"),
        }
        self
    }

    /// Declares that the POST that was added last does no harm when it is repeated, such as a login. If a client repeats it with an
    /// `Idempotency-Key`, it runs again, and no answer of it is kept.
    #[must_use]
    #[track_caller]
    pub fn repeatable(mut self) -> Self {
        match self.routes.last_mut() {
            Some(route) if route.method == "POST" => route.repeatable = true,
            Some(route) => {
                refuse(route.method, route.path, "is not a POST: only those have idempotency keys")
            }
            None => refuse("", "", "is to be added before it is called repeatable"),
        }
        self
    }

    /// Consumes events of a type.
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

    /// Declares that it may publish events of a type.
    #[must_use]
    pub fn publishes<E: Event>(mut self) -> Self {
        self.publishes.push(E::TYPE);
        self
    }

    /// Adds the next step of the schema: see [`migration!`](crate::migration!).
    #[must_use]
    pub fn migration(mut self, migration: Migration) -> Self {
        self.migrations.push(migration);
        self
    }

    /// A route that can't work is refused when the service is made, so the mistake shows when the component is loaded and in every native
    /// test. This is a route whose path does not have the parameters that its handler takes, or a route that exists already.
    #[track_caller]
    fn route<A, H: Handler<A>>(
        mut self,
        method: &'static str,
        path: &'static str,
        summary: &'static str,
        handler: H,
    ) -> Self {
        let parameters = parameter_names(path).count();
        if parameters != H::PATH_PARAMETERS {
            let wanted = H::PATH_PARAMETERS;
            refuse(
                method,
                path,
                &format!("has {parameters} path parameters, and its handler takes {wanted}"),
            );
        }
        let call = Box::new(move |context: &Context<'_>| handler.call(context));
        if !self.router.add(method, path, self.routes.len()) {
            refuse(method, path, "is there already");
        }
        let problems = Vec::new();
        self.routes.push(Route {
            method,
            path,
            summary,
            describe: H::describe,
            call,
            problems,
            repeatable: false,
        });
        self
    }

    /// Answers a request. HEAD is answered like GET, and the host leaves out the body.
    pub fn handle(&self, request: &Request) -> Response {
        self.answer(request, Reads::Committed)
            .and_then(|response| precondition::read_under(request, precondition::tagged(request, response)))
            .unwrap_or_else(|problem| problem.into_response(&request.trace_id))
    }

    /// Consumes an event.
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
            routes: self.routes.iter().map(Route::record).collect(),
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

impl Routes for Service {
    fn answer(&self, request: &Request, reads: Reads) -> Result<Response> {
        let (position, captures) = match self.router.find(&request.method, &request.path) {
            Found::Route(position, captures) => (*position, captures),
            Found::OtherMethods(allow) if request.method == "OPTIONS" => {
                return Ok(Response::new(204).with_header("allow", allow));
            }
            Found::OtherMethods(allow) => return Err(Problem::method_not_allowed(allow)),
            Found::Nothing => return Err(Problem::not_found("there is nothing at this path")),
        };
        let route = self.routes.get(position).ok_or_else(|| Problem::internal("a route is not there"))?;
        let answer = (route.call)(&Context { request, captures, routes: self, reads });
        if let Err(problem) = &answer
            && problem.is_own()
            && !route.problems.iter().any(|declared| declared.code == problem.code())
        {
            crate::log::error(
                "the route does not say that it answers with this problem",
                &[("code", &problem.code()), ("route", &format_args!("{} {}", route.method, route.path))],
            );
        }
        answer
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Service").field("summary", &self.summary).finish_non_exhaustive()
    }
}

#[expect(
    clippy::panic,
    reason = "no request has part in it: it happens at once, at load and in every test, or never"
)]
#[track_caller]
fn refuse(method: &str, path: &str, why: &str) -> ! {
    panic!("the route {method} {path} {why}")
}

impl Route {
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
            answers: description.answers.into_iter().map(answer_record).collect(),
            problems: self.problems.iter().map(problem_record).collect(),
            access: description.access,
            computes: description.computes,
            repeatable: self.repeatable,
        }
    }
}

fn answer_record(answer: AnswerDescription) -> AnswerRecord {
    AnswerRecord { status: answer.status, schema: answer.schema.map(|schema| schema.to_string()) }
}

fn problem_record(kind: &ProblemKind) -> ProblemRecord {
    let ProblemKind { status, code, description, .. } = *kind;
    ProblemRecord { status, code: code.to_owned(), description: description.to_owned() }
}
