//! What the host knows of a component besides its code.

use std::sync::Arc;

use http::HeaderValue;

use crate::described::DescribedRoutes;
use crate::version::Version;

/// A component's version and routes.
pub(crate) struct ComponentInfo {
    pub(crate) version: Version,
    /// The version with the service's name, as the header `Bulkhead-Version` has it.
    pub(crate) label: HeaderValue,
    /// The routes that it describes.
    pub(crate) described: Arc<DescribedRoutes>,
}
