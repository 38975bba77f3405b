//! The component's exports, made from a [`Service`].

use std::sync::Once;

use crate::service::Service;
use crate::wit::bulkhead::service::types;
use crate::wit::exports::bulkhead::service::{describe, event_handler, http_handler, migrations};

/// Where the exports find the service. [`service!`](crate::service!) implements it.
pub trait Component {
    /// The service, made at the first call.
    fn service() -> &'static Service;
}

/// Exports a service: `service!(my_service);`, with a function that returns it. The function is called once per instance, and instances are
/// reused. If the target is not wasm, so that the rules can be tested natively, nothing is exported.
#[macro_export]
macro_rules! service {
    ($make:path) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            struct Exports;
            impl $crate::component::Component for Exports {
                fn service() -> &'static $crate::Service {
                    static SERVICE: ::std::sync::OnceLock<$crate::Service> = ::std::sync::OnceLock::new();
                    SERVICE.get_or_init($make)
                }
            }
    $crate::wit::export_service!(Exports with_types_in $crate::wit);
        };
    };
}

/// A panic becomes a trap, which does not say where it came from. So this reports the panic to the host first.
fn report_panics() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        std::panic::set_hook(Box::new(|panic| {
            let message = panic.payload_as_str().unwrap_or_default();
            let place = panic.location().map(ToString::to_string).unwrap_or_default();
            crate::host::panicked(message, &place);
        }));
    });
}

impl<C: Component> describe::Guest for C {
    fn describe() -> describe::Description {
        report_panics();
        C::service().description()
    }
}

impl<C: Component> http_handler::Guest for C {
    fn handle(request: types::Request) -> types::Response {
        report_panics();
        C::service().handle(&request)
    }
}

impl<C: Component> event_handler::Guest for C {
    fn handle(event: types::Event) -> Result<(), event_handler::HandleError> {
        report_panics();
        C::service().handle_event(event)
    }
}

impl<C: Component> migrations::Guest for C {
    fn all() -> Vec<migrations::Migration> {
        report_panics();
        C::service().migrations()
    }
}
