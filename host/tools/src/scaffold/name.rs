//! Which names are valid for a service and its new crate.

use bulkhead_manifest::is_service_name;

/// Words that can't be crate names, because Rust code could not name such a crate (<https://doc.rust-lang.org/reference/keywords.html>).
const KEYWORDS: [&str; 51] = [
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate", "do", "dyn",
    "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop",
    "macro", "match", "mod", "move", "mut", "override", "priv", "pub", "ref", "return", "self", "static",
    "struct", "super", "trait", "true", "try", "type", "typeof", "unsafe", "unsized", "use", "virtual",
    "where", "while", "yield",
];

/// Crates that come with the compiler.
const COMPILERS: [&str; 5] = ["alloc", "core", "proc-macro", "std", "test"];

/// What is wrong with a name, and what to do.
pub(super) fn check(name: &str) -> Result<(), String> {
    if !is_service_name(name) {
        return Err(
            "it has 1 to 40 lower-case letters, digits and hyphens, and begins with a letter; for example greeter".to_owned()
        );
    }
    if name.ends_with('-') || name.contains("--") {
        return Err(
            "hyphens stand between letters or digits, one at a time; for example my-greeter".to_owned()
        );
    }
    if KEYWORDS.contains(&name) {
        return Err(format!(
            "a crate can't be called so, for it is a keyword of Rust; for example {name}-service"
        ));
    }
    if COMPILERS.contains(&name) {
        return Err(format!("a crate of that name comes with the compiler; for example {name}-service"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_must_be_valid_for_a_service_and_a_crate() {
        for name in ["greeter", "a", "my-greeter", "notes-2", "v2", &"a".repeat(40)] {
            assert_eq!(check(name), Ok(()), "{name}");
        }
        for (name, why) in [
            ("", "1 to 40"),
            ("Greeter", "1 to 40"),
            ("my_greeter", "1 to 40"),
            ("2nd", "1 to 40"),
            ("-a", "1 to 40"),
            ("a b", "1 to 40"),
            ("../a", "1 to 40"),
            ("ä", "1 to 40"),
            (&"a".repeat(41), "1 to 40"),
            ("a-", "hyphens"),
            ("a--b", "hyphens"),
            ("match", "keyword"),
            ("gen", "keyword"),
            ("core", "comes with the compiler"),
            ("proc-macro", "comes with the compiler"),
        ] {
            assert!(check(name).is_err_and(|error| error.contains(why)), "{name}");
        }
    }

    #[test]
    fn keywords_are_sorted_and_have_the_form_of_service_names() {
        assert!(KEYWORDS.is_sorted());
        assert!(KEYWORDS.iter().all(|word| is_service_name(word)));
    }
}
