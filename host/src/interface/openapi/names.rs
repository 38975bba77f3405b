//! Names of schemas that generators of clients can use.
//!
//! A generator makes a class of each schema, and more names beside it in the same place: openapi-generator's Go has a function `NewNote`
//! beside the class `Note`, so a schema `NewNote` can't be built. It also has classes of its own, and classes for tags and operations. A
//! name that would meet another is not used: the schema gets its service's name before its own.
//!
//! What meets what was found by building clients from such schemas. Left out on purpose: names that a generator changes by itself, as it does
//! with most words of its language.

use std::collections::BTreeSet;

use super::operation::pascal_case;

/// What generated clients have themselves, or what their language has and their code uses: schemas with these names break their build.
const RESERVED: [&str; 48] = [
    "AbstractOpenApiSchema",
    "Annotated",
    "Any",
    "ApiClient",
    "ApiException",
    "ApiKey",
    "ApiResponse",
    "Array",
    "BaseApi",
    "BaseModel",
    "BasicAuth",
    "Boolean",
    "Box",
    "Client",
    "Configuration",
    "Date",
    "Error",
    "Exception",
    "FetchError",
    "Field",
    "File",
    "Function",
    "Generated",
    "GenericOpenApiError",
    "Headers",
    "HttpClient",
    "IsNil",
    "List",
    "Map",
    "MappedNullable",
    "None",
    "Object",
    "Option",
    "Optional",
    "Override",
    "Pair",
    "Promise",
    "PtrString",
    "Record",
    "RequiredError",
    "ResponseError",
    "Result",
    "Set",
    "Some",
    "String",
    "Thread",
    "Type",
    "Vec",
];

/// The names that are taken, with all that is made of them.
#[derive(Debug)]
pub(super) struct Names {
    taken: BTreeSet<String>,
}

impl Names {
    /// Those that no schema can have beside these tags and operations.
    pub(super) fn new<'a>(
        tags: impl Iterator<Item = &'a str>,
        operations: impl Iterator<Item = &'a str>,
    ) -> Self {
        let mut taken: BTreeSet<String> = RESERVED.into_iter().map(key).collect();
        for tag in tags.map(pascal_case) {
            taken.extend(["Api", "ApiInterface", "ApiService"].map(|suffix| key(&format!("{tag}{suffix}"))));
        }
        for id in operations {
            let suffixes = ["Request", "Response", "Params", "Success", "Error"];
            taken.extend(suffixes.map(|suffix| key(&format!("{id}{suffix}"))));
            taken.insert(key(&format!("Api{id}Request")));
        }
        Self { taken }
    }

    /// Takes a name; false where it would meet another one.
    pub(super) fn take(&mut self, name: &str) -> bool {
        let made = made_of(name);
        let is_free = made.iter().all(|made| !self.taken.contains(made));
        if is_free {
            self.taken.extend(made);
        }
        is_free
    }
}

/// What generators make of a name: what it is as that of a file, and as an identifier, with those that stand beside it.
fn made_of(name: &str) -> Vec<String> {
    let around = [
        ("", ""),
        // Go.
        ("New", ""),
        ("New", "WithDefaults"),
        ("Nullable", ""),
        ("NewNullable", ""),
        // TypeScript.
        ("InstanceOf", ""),
        ("", "FromJSON"),
        ("", "FromJSONTyped"),
        ("", "ToJSON"),
        ("", "ToJSONTyped"),
        // What becomes of a name that the language has already.
        ("Model", ""),
    ];
    let identifier = pascal_case(name);
    let identifiers = around.iter().map(|(before, behind)| format!("{before}{identifier}{behind}"));
    identifiers.chain([key(name)]).collect()
}

/// What is left of a name where only its letters and digits count, and not their case: some file systems do not tell `Notebook` from
/// `NoteBook`, and a generator writes `note_book` as its language does. No identifier in [`made_of`] looks like this.
fn key(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase()).collect()
}
