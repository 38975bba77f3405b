//! From a method and a path to a route.
//!
//! A tree with one level per part of the path. A literal part wins over a parameter; if the literal leads nowhere, the parameter is tried.
//! Parts are compared after percent-decoding, and a trailing slash is a part of its own, so that a thing has one path.

use crate::encoding::percent_decode;

/// A route may have at most this many parameters in its path.
pub const CAPTURES_MAX: usize = 4;

/// The parts of a path that stand for the route's parameters, in their order, still percent-encoded.
#[derive(Debug, Clone, Copy, Default)]
pub struct Captures<'p> {
    parts: [&'p str; CAPTURES_MAX],
    count: usize,
}

impl<'p> Captures<'p> {
    /// The part for the parameter at this position, from 0.
    pub fn get(&self, position: usize) -> Option<&'p str> {
        self.parts.get(..self.count)?.get(position).copied()
    }

    fn with(mut self, part: &'p str) -> Self {
        if let Some(slot) = self.parts.get_mut(self.count) {
            *slot = part;
            self.count += 1;
        }
        self
    }
}

/// The tree of routes.
#[derive(Debug)]
pub struct Router<T> {
    root: Node<T>,
}

#[derive(Debug)]
struct Node<T> {
    literals: Vec<(&'static str, Node<T>)>,
    parameter: Option<Box<Node<T>>>,
    /// By method.
    routes: Vec<(&'static str, T)>,
}

impl<T> Default for Node<T> {
    fn default() -> Self {
        Self { literals: Vec::new(), parameter: None, routes: Vec::new() }
    }
}

impl<T> Default for Router<T> {
    fn default() -> Self {
        Self { root: Node::default() }
    }
}

/// What a method and a path lead to.
#[derive(Debug)]
pub enum Found<'r, 'p, T> {
    /// A route.
    Route(&'r T, Captures<'p>),
    /// A path that has other methods: the value of `Allow`.
    OtherMethods(String),
    /// Nothing.
    Nothing,
}

impl<T> Router<T> {
    /// Adds a route. The path's parameters are in braces, each a whole part. Returns false if the path, whatever the names of its
    /// parameters, has a route of this method already: then nothing is added.
    #[must_use]
    pub fn add(&mut self, method: &'static str, path: &'static str, route: T) -> bool {
        let mut node = &mut self.root;
        for part in parts(path) {
            node = if part.starts_with('{') {
                node.parameter.get_or_insert_default()
            } else {
                let position = node.literals.iter().position(|(literal, _)| *literal == part);
                let position = position.unwrap_or_else(|| {
                    node.literals.push((part, Node::default()));
                    node.literals.len() - 1
                });
                match node.literals.get_mut(position) {
                    Some((_, child)) => child,
                    None => return false,
                }
            };
        }
        if node.routes.iter().any(|(existing, _)| *existing == method) {
            return false;
        }
        node.routes.push((method, route));
        true
    }

    /// Finds a route. HEAD finds the route of GET.
    pub fn find<'r, 'p>(&'r self, method: &str, path: &'p str) -> Found<'r, 'p, T> {
        let Some(rest) = path.strip_prefix('/') else { return Found::Nothing };
        let Some((node, captures)) = self.root.walk(Some(rest), Captures::default()) else {
            return Found::Nothing;
        };
        let wanted = if method == "HEAD" { "GET" } else { method };
        match node.routes.iter().find(|(method, _)| *method == wanted) {
            Some((_, route)) => Found::Route(route, captures),
            None => Found::OtherMethods(node.allow()),
        }
    }
}

impl<T> Node<T> {
    /// Follows the rest of a path: none is the end of the path, and an empty rest is an empty last part.
    fn walk<'r, 'p>(
        &'r self,
        rest: Option<&'p str>,
        captures: Captures<'p>,
    ) -> Option<(&'r Self, Captures<'p>)> {
        let Some(rest) = rest else { return (!self.routes.is_empty()).then_some((self, captures)) };
        let (part, rest) = rest.split_once('/').map_or((rest, None), |(part, rest)| (part, Some(rest)));
        let literal = if part.contains('%') {
            let decoded = percent_decode(part)?;
            self.literals.iter().find(|(literal, _)| *literal == decoded)
        } else {
            self.literals.iter().find(|(literal, _)| *literal == part)
        };
        literal.and_then(|(_, node)| node.walk(rest, captures)).or_else(|| {
            let node = self.parameter.as_ref().filter(|_| !part.is_empty())?;
            node.walk(rest, captures.with(part))
        })
    }

    fn allow(&self) -> String {
        let mut methods: Vec<&str> = self.routes.iter().map(|(method, _)| *method).collect();
        if methods.contains(&"GET") {
            methods.push("HEAD");
        }
        methods.push("OPTIONS");
        methods.sort_unstable();
        methods.join(", ")
    }
}

/// The parts of a route's path.
pub(crate) fn parts(path: &'static str) -> impl Iterator<Item = &'static str> {
    path.strip_prefix('/').unwrap_or(path).split('/')
}

/// The names of a route's parameters, in their order.
pub(crate) fn parameter_names(path: &'static str) -> impl Iterator<Item = &'static str> {
    parts(path).filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn router() -> Router<&'static str> {
        let mut router = Router::default();
        for (method, path) in [
            ("GET", "/products"),
            ("POST", "/products"),
            ("GET", "/products/{id}"),
            ("DELETE", "/products/{id}"),
            ("GET", "/products/by-sku/{sku}"),
            ("GET", "/products/{id}/stock"),
            ("DELETE", "/products/{id}/images/{image_id}"),
        ] {
            assert!(router.add(method, path, path), "{method} {path}");
        }
        router
    }

    fn found(method: &str, path: &str) -> String {
        match router().find(method, path) {
            Found::Route(route, captures) => {
                let parts: Vec<&str> =
                    (0..CAPTURES_MAX).map_while(|position| captures.get(position)).collect();
                format!("{route} {}", parts.join(" "))
            }
            Found::OtherMethods(allow) => allow,
            Found::Nothing => "nothing".to_owned(),
        }
    }

    #[test]
    fn a_method_and_path_have_one_route_regardless_of_parameter_names() {
        let mut router = router();
        assert!(!router.add("GET", "/products", "again"));
        assert!(!router.add("GET", "/products/{product_id}", "again"));
        assert!(router.add("PUT", "/products/{product_id}", "another"));
    }

    #[test]
    fn a_path_matches_its_route() {
        for (method, path, expected) in [
            ("GET", "/products", "/products "),
            ("HEAD", "/products", "/products "),
            ("GET", "/products/7", "/products/{id} 7"),
            ("GET", "/products/7/stock", "/products/{id}/stock 7"),
            ("DELETE", "/products/7/images/8", "/products/{id}/images/{image_id} 7 8"),
            ("GET", "/products/a%2Fb", "/products/{id} a%2Fb"),
        ] {
            assert_eq!(found(method, path), expected);
        }
    }

    #[test]
    fn a_literal_wins_over_a_parameter_unless_it_leads_to_no_route() {
        assert_eq!(found("GET", "/products/by-sku/stock"), "/products/by-sku/{sku} stock");
        assert_eq!(found("GET", "/products/by%2Dsku/1"), "/products/by-sku/{sku} 1");
        assert_eq!(found("GET", "/products/by-sku"), "/products/{id} by-sku");
        assert_eq!(found("DELETE", "/products/by-sku/images/8"), "/products/{id}/images/{image_id} by-sku 8");
    }

    #[test]
    fn other_paths_match_no_route() {
        for path in [
            "",
            "/",
            "products",
            "/products/",
            "//products",
            "/products//stock",
            "/products/7/",
            "/Products",
            "/%70%ff",
        ] {
            assert_eq!(found("GET", path), "nothing", "{path}");
        }
    }

    #[test]
    fn another_method_is_answered_with_the_allowed_methods() {
        assert_eq!(found("PUT", "/products"), "GET, HEAD, OPTIONS, POST");
        assert_eq!(found("OPTIONS", "/products/7"), "DELETE, GET, HEAD, OPTIONS");
        assert_eq!(found("HEAD", "/products/7/images/8"), "DELETE, OPTIONS");
    }
}
