//! The one `bindgen!`: the host's side of `wit/`.

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    reason = "the code is generated from wit/, which has the documentation"
)]

wasmtime::component::bindgen!({
    path: "../../wit",
    world: "service",
    imports: { default: trappable },
    // To compare the description of a version with that of the version before.
    additional_derives: [PartialEq],
});
