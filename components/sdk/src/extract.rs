//! What a handler may ask for: each argument's type says where it comes from.
//!
//! Everything is extracted before the handler runs, and all errors are put together: a client learns at once what is wrong with its query
//! and its body.

use serde_json::Value;

use crate::access::Access;
pub use crate::context::{Context, Request};
use crate::database::{Snapshot, Transaction};
use crate::encoding::percent_decode;
use crate::invalid::Errors;
use crate::json::Node;
use crate::precondition::Precondition;
use crate::problem::{Problem, Result};
use crate::record::{FromQuery, ObjectReader, QueryParameter, QueryReader};
use crate::response::{AnswerDescription, Reply, Response};
use crate::router::Captures;
use crate::value::{FromJson, FromText, ObjectSchema, Schema};

/// What the arguments of a handler say about its route.
#[derive(Debug, Default)]
pub struct RouteDescription {
    /// The schemas of the path's parameters, in their order.
    pub path: Vec<Value>,
    /// The query's parameters.
    pub query: Vec<QueryParameter>,
    /// The body's schema.
    pub request_schema: Option<Value>,
    /// The answers that are not a problem, the usual one first.
    pub answers: Vec<AnswerDescription>,
    /// Whom it answers.
    pub access: Access,
    /// It computes for long: see [`Compute`].
    pub computes: bool,
}

/// An argument of a handler.
pub trait Extract: Sized {
    /// It may write: not for GET.
    const WRITES: bool = false;
    /// It reads the query. If no argument does, a query is an error.
    const READS_QUERY: bool = false;
    /// It reads the body. If no argument does, a body with anything in it is an error.
    const READS_BODY: bool = false;
    /// How many of the route's path parameters it takes: [`Path`] takes all, anything else none.
    const PATH_PARAMETERS: usize = 0;

    /// Takes it from the request.
    fn extract(context: &Context<'_>) -> Result<Self>;

    /// Says what it takes.
    fn describe(_description: &mut RouteDescription) {}
}

impl Extract for Snapshot {
    fn extract(context: &Context<'_>) -> Result<Self> {
        Ok(Snapshot(context.reads))
    }
}

impl Extract for Transaction {
    const WRITES: bool = true;

    fn extract(_: &Context<'_>) -> Result<Self> {
        Ok(Transaction(()))
    }
}

/// The right to compute for long (milliseconds and more), for example to hash a password. The route of a handler that takes it has a queue
/// and workers of its own, which give way to all others, so that quick requests do not wait behind it. A function that computes for long
/// should take a reference to it, so that no other handler calls it.
#[derive(Debug)]
pub struct Compute(());

impl Compute {
    /// For native tests of what computes.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn in_a_test() -> Self {
        Self(())
    }
}

impl Extract for Compute {
    fn extract(_: &Context<'_>) -> Result<Self> {
        Ok(Self(()))
    }

    fn describe(description: &mut RouteDescription) {
        description.computes = true;
    }
}

/// The route's path parameters: one value, or a tuple in their order. A malformed one is 404.
#[derive(Debug, Clone, Copy)]
pub struct Path<T>(pub T);

/// What [`Path`] can hold.
pub trait FromPath: Sized {
    /// How many parameters it is made of.
    const PARAMETERS: usize;

    /// Reads it; none if a part is malformed or missing.
    fn from_path(captures: &Captures<'_>) -> Option<Self>;

    /// The schemas, in the order of the parameters.
    fn schemas() -> Vec<Value>;
}

fn capture<T: FromText>(captures: &Captures<'_>, position: usize) -> Option<T> {
    T::from_text(&percent_decode(captures.get(position)?)?).ok()
}

impl<T: FromText> FromPath for T {
    const PARAMETERS: usize = 1;

    fn from_path(captures: &Captures<'_>) -> Option<Self> {
        capture(captures, 0)
    }

    fn schemas() -> Vec<Value> {
        vec![T::text_schema()]
    }
}

impl<A: FromText, B: FromText> FromPath for (A, B) {
    const PARAMETERS: usize = 2;

    fn from_path(captures: &Captures<'_>) -> Option<Self> {
        Some((capture(captures, 0)?, capture(captures, 1)?))
    }

    fn schemas() -> Vec<Value> {
        vec![A::text_schema(), B::text_schema()]
    }
}

impl<T: FromPath> Extract for Path<T> {
    const PATH_PARAMETERS: usize = T::PARAMETERS;

    fn extract(context: &Context<'_>) -> Result<Self> {
        T::from_path(&context.captures)
            .map(Path)
            .ok_or_else(|| Problem::not_found("there is nothing at this path"))
    }

    fn describe(description: &mut RouteDescription) {
        description.path = T::schemas();
    }
}

/// The route's query parameters: see [`query!`](crate::query).
#[derive(Debug, Clone)]
pub struct Query<T>(pub T);

impl<T: FromQuery> Extract for Query<T> {
    const READS_QUERY: bool = true;

    fn extract(context: &Context<'_>) -> Result<Self> {
        let mut errors = Errors::default();
        let query = T::from_query(QueryReader::new(context.request.query.as_deref(), &mut errors));
        match query {
            Some(query) if errors.is_empty() => Ok(Query(query)),
            _ => Err(Problem::invalid(errors)),
        }
    }

    fn describe(description: &mut RouteDescription) {
        description.query = T::parameters();
    }
}

/// A JSON body: see [`body!`](crate::body).
#[derive(Debug, Clone)]
pub struct Body<T>(pub T);

impl<T: FromJson> Extract for Body<T> {
    const READS_BODY: bool = true;

    fn extract(context: &Context<'_>) -> Result<Self> {
        read_body(context.request).map(Body)
    }

    fn describe(description: &mut RouteDescription) {
        description.request_schema = Some(T::schema());
    }
}

fn read_body<T: FromJson>(request: &Request) -> Result<T> {
    if request.body.is_empty() {
        return Err(Problem::malformed_json("the body is empty; it must be JSON"));
    }
    if !request.header("content-type").is_some_and(is_json) {
        return Err(Problem::unsupported_media_type());
    }
    if request
        .headers
        .iter()
        .any(|header| header.name == "content-encoding" && !header.value.eq_ignore_ascii_case(b"identity"))
    {
        return Err(Problem::unsupported_content_encoding());
    }
    let text =
        std::str::from_utf8(&request.body).map_err(|_| Problem::malformed_json("the body is not UTF-8"))?;
    let node = crate::json::parse(text)
        .map_err(|error| Problem::malformed_json(format!("the body is not JSON: {error}")))?;
    let mut errors = Errors::default();
    match T::from_json(node, &mut errors) {
        Some(body) if errors.is_empty() => Ok(body),
        _ => Err(Problem::invalid(errors)),
    }
}

/// `application/json`, alone or with `charset=utf-8`.
fn is_json(content_type: &str) -> bool {
    let mut parts = content_type.split(';').map(str::trim);
    parts.next().is_some_and(|media_type| media_type.eq_ignore_ascii_case("application/json"))
        && parts.filter(|part| !part.is_empty()).all(|parameter| {
            parameter.split_once('=').is_some_and(|(name, value)| {
                name.trim().eq_ignore_ascii_case("charset")
                    && value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
            })
        })
}

impl Request {
    /// The first header of this name (in lower case); none if there is none, or if it is not UTF-8.
    pub fn header(&self, name: &str) -> Option<&str> {
        let header = self.headers.iter().find(|header| header.name == name)?;
        std::str::from_utf8(&header.value).ok()
    }
}

/// The whole request, copied, with its query unchecked: for handlers that pass it on.
impl Extract for Request {
    const READS_QUERY: bool = true;
    const READS_BODY: bool = true;

    fn extract(context: &Context<'_>) -> Result<Self> {
        Ok(context.request.clone())
    }
}

/// A function that answers requests: up to five arguments that are [`Extract`], and a result with a [`Reply`].
pub trait Handler<Arguments>: Send + Sync + 'static {
    /// An argument may write.
    const WRITES: bool;
    /// How many path parameters its [`Path`] takes.
    const PATH_PARAMETERS: usize;

    /// Answers.
    fn call(&self, context: &Context<'_>) -> Result<Response>;

    /// Says what the arguments take and what comes back.
    fn describe(description: &mut RouteDescription);
}

/// Keeps what was extracted, or adds its problem to the others.
fn collect<T>(extracted: Result<T>, problem: &mut Option<Problem>) -> Option<T> {
    match extracted {
        Ok(value) => Some(value),
        Err(other) => {
            *problem = Some(match problem.take() {
                None => other,
                Some(earlier) => earlier.and(other),
            });
            None
        }
    }
}

/// How many parameters the one [`Path`] of a handler takes. A second one, which would read the same parameters again, does not compile.
const fn of_one_path(mut counts: &[usize]) -> usize {
    let mut found = 0;
    while let [count, rest @ ..] = counts {
        assert!(
            *count == 0 || found == 0,
            "a handler takes one Path: that of two parameters is a Path of a pair"
        );
        found += *count;
        counts = rest;
    }
    found
}

/// If nothing reads the query, each parameter is unknown. This is reported together with the other errors.
fn check_unread_query(request: &Request) -> Option<Problem> {
    let mut errors = Errors::default();
    QueryReader::new(request.query.as_deref(), &mut errors).finish();
    (!errors.is_empty()).then(|| Problem::invalid(errors))
}

/// A body from which nothing is read: empty, null, or an object without fields.
struct Nothing;

impl Schema for Nothing {
    fn schema() -> Value {
        ObjectSchema::new("", "").finish()
    }
}

impl FromJson for Nothing {
    fn from_json(node: Node<'_>, errors: &mut Errors) -> Option<Self> {
        if node != Node::Null {
            ObjectReader::new(node, errors)?.finish();
        }
        Some(Self)
    }
}

/// If nothing reads the body, each field is unknown. The body of a GET means nothing (RFC 9110, section 9.3.1).
fn check_unread_body(request: &Request) -> Result<Option<Nothing>> {
    let has_body = !request.body.is_empty() && !matches!(request.method.as_str(), "GET" | "HEAD");
    has_body.then(|| read_body(request)).transpose()
}

macro_rules! handlers {
    ($( ($($name:ident $value:ident),*) )+) => { $(
        impl<F, R, $($name),*> Handler<($($name,)*)> for F
        where
            F: Fn($($name),*) -> Result<R> + Send + Sync + 'static,
            R: Reply,
            $($name: Extract,)*
        {
            const WRITES: bool = false $(|| $name::WRITES)*;
            const PATH_PARAMETERS: usize = of_one_path(&[$($name::PATH_PARAMETERS),*]);

            fn call(&self, context: &Context<'_>) -> Result<Response> {
                let reads_query = false $(|| $name::READS_QUERY)*;
                let mut problem = if reads_query { None } else { check_unread_query(context.request) };
                $( let $value = collect($name::extract(context), &mut problem); )*
                // This comes last, so that a client that the route does not answer learns nothing from it.
                if !(false $(|| $name::READS_BODY)*) {
                    collect(check_unread_body(context.request), &mut problem);
                }
                match (problem, ($($value,)*)) {
                    (None, ($(Some($value),)*)) => {
                        let precondition = Precondition::of(context)?;
                        precondition.allow(self($($value),*)?.into_response()?)
                    }
                    (problem, _) => Err(problem.unwrap_or_else(|| Problem::internal("an argument is missing"))),
                }
            }

            fn describe(description: &mut RouteDescription) {
                $( $name::describe(description); )*
                description.answers = R::describe();
            }
        }
    )+ };
}

#[allow(unreachable_patterns, unused_mut, reason = "a handler without arguments has nothing to miss")]
mod implementations {
    use super::*;

    handlers! {
        ()
        (A a)
        (A a, B b)
        (A a, B b, C c)
        (A a, B b, C c, D d)
        (A a, B b, C c, D d, E e)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_recognized_by_its_media_type() {
        for accepted in
            ["application/json", "Application/JSON ; charset=UTF-8", "application/json; charset=\"utf-8\""]
        {
            assert!(is_json(accepted), "{accepted}");
        }
        for refused in
            ["", "text/json", "application/jsonp", "application/json; charset=latin1", "application/json; x"]
        {
            assert!(!is_json(refused), "{refused}");
        }
    }
}
