//! Who may ask: principals, and roles as types.
//!
//! The arguments of a handler say whom it answers, and its route is described accordingly: a [`Principal`] means everybody who has
//! credentials, a type that [`roles!`](crate::roles) defines means everybody who has that role. Put it first among the arguments: then a
//! request without the right learns nothing else.

use crate::extract::{Context, Extract, RouteDescription};
use crate::problem::{Problem, Result};
pub use crate::wit::bulkhead::service::types::Principal;
pub use crate::wit::exports::bulkhead::service::describe::Access;

impl Default for Access {
    fn default() -> Self {
        Self::Public
    }
}

/// The caller; 401 if the request came without credentials.
impl Extract for Principal {
    fn extract(context: &Context<'_>) -> Result<Self> {
        context.request.principal.clone().ok_or_else(Problem::unauthenticated)
    }

    fn describe(description: &mut RouteDescription) {
        if matches!(description.access, Access::Public) {
            description.access = Access::Authenticated;
        }
    }
}

/// The caller, if known.
impl Extract for Option<Principal> {
    fn extract(context: &Context<'_>) -> Result<Self> {
        Ok(context.request.principal.clone())
    }
}

impl Principal {
    /// It has this role.
    pub fn has_role(&self, role: &str) -> bool {
        self.roles.iter().any(|held| held == role)
    }
}

/// Takes the principal of a request, with one of these roles: 401 without credentials, 403 without the role. The types of
/// [`roles!`](crate::roles) are built on it.
pub fn principal_with_role(context: &Context<'_>, roles: &[&str]) -> Result<Principal> {
    let principal = Principal::extract(context)?;
    if roles.iter().any(|role| principal.has_role(role)) {
        return Ok(principal);
    }
    Err(Problem::forbidden(format!("this needs the role {}", roles.join(" or "))))
}

/// Describes a route as one that needs one of these roles.
pub fn describe_roles(description: &mut RouteDescription, roles: &[&str]) {
    description.access = Access::Roles(roles.iter().map(|role| (*role).to_owned()).collect());
}

/// Defines types that stand for a principal with a role. A handler that takes such a type answers nobody else: 401 without credentials, 403
/// without the role.
///
/// ```
/// use bulkhead_sdk::{NoContent, Result};
///
/// bulkhead_sdk::roles! {
///     /// Runs the place.
///     pub Admin = "admin"
///     /// Looks after it.
///     pub Staff = "staff" | "admin"
/// }
///
/// fn close(_: Admin) -> Result<NoContent> {
///     Ok(NoContent)
/// }
/// # let _ = bulkhead_sdk::Service::new("").post("/close", "Closes.", close);
/// ```
#[macro_export]
macro_rules! roles {
    ($( $(#[$attribute:meta])* $visibility:vis $name:ident = $first:literal $(| $other:literal)* )+) => { $(
        $(#[$attribute])*
        #[derive(Debug, Clone)]
        $visibility struct $name(
            /// The caller.
            pub $crate::Principal,
        );

        impl $name {
            /// The roles of which the principal has one.
            pub const ROLES: &'static [&'static str] = &[$first $(, $other)*];
        }
        impl $crate::Extract for $name {
            fn extract(context: &$crate::extract::Context<'_>) -> $crate::Result<Self> {
                $crate::access::principal_with_role(context, Self::ROLES).map(Self)
            }
            fn describe(description: &mut $crate::extract::RouteDescription) {
                $crate::access::describe_roles(description, Self::ROLES);
            }
        }
    )+ };
}
