//! What `wit-bindgen` makes of the world `service`: the SDK's other modules are the way to use it. It is public for services that
//! need the records as they are, and for the export macro.

#![allow(missing_docs, reason = "generated; wit/ is its documentation")]
#![allow(unreachable_pub, clippy::all, reason = "generated")]

wit_bindgen::generate!({
    path: "../../wit",
    world: "service",
    generate_all,
    pub_export_macro: true,
    export_macro_name: "export_service",
    default_bindings_module: "bulkhead_sdk::wit",
});
