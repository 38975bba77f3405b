//! Names of schemas that client generators can use.
//!
//! A generator creates a class for each schema, and more names beside it in the same namespace. For example, openapi-generator's Go client
//! has a function `NewNote` beside the class `Note`, so a schema `NewNote` can't be built. It also has its own classes, and classes for
//! tags and operations. A name that would clash with another one is not used. Instead the schema gets its service's name as a prefix.
//!
//! Left out on purpose: most keywords of a language, which its generator changes by itself.

use std::collections::BTreeSet;

/// Names that generated clients have themselves, or that their language has and their code uses. A schema with such a name breaks their
/// build. The list comes from the sources of clients that openapi-generator 7.26 generated, and from building clients of schemas with these
/// names and a hundred others.
const RESERVED: [&str; 96] = [
    // In several languages.
    "ApiClient",
    "ApiException",
    "ApiResponse",
    "Configuration",
    "Json",
    "ServerConfiguration",
    "ServerVariable",
    "String",
    // Rust.
    "Box",
    "Deserialize",
    "Option",
    "Serialize",
    "Vec",
    // Go: the client's own names, and the types with a nullable form.
    "ApiKey",
    "BasicAuth",
    "Bool",
    "CacheExpires",
    "Float32",
    "Float64",
    "GenericOpenApiError",
    "Int",
    "Int32",
    "Int64",
    "IsNil",
    "MappedNullable",
    "PtrBool",
    "PtrFloat32",
    "PtrFloat64",
    "PtrInt",
    "PtrInt32",
    "PtrInt64",
    "PtrString",
    "PtrTime",
    "ServerConfigurations",
    "Time",
    // TypeScript.
    "Array",
    "BaseApi",
    "BlobApiResponse",
    "ConfigurationParameters",
    "Consume",
    "DefaultConfig",
    "ErrorContext",
    "FetchApi",
    "FetchError",
    "FetchParams",
    "HttpBody",
    "HttpFile",
    "HttpHeaders",
    "HttpMethod",
    "HttpQuery",
    "HttpRequestInit",
    "InitOverrideFunction",
    "JsonApiResponse",
    "Middleware",
    "ModelPropertyNaming",
    "Promise",
    "RequestContext",
    "RequestOpts",
    "RequiredError",
    "ResponseContext",
    "ResponseError",
    "ResponseTransformer",
    "TextApiResponse",
    "VoidApiResponse",
    // Python.
    "Annotated",
    "Any",
    "ApiAttributeError",
    "ApiKeyError",
    "ApiTypeError",
    "ApiValueError",
    "BaseModel",
    "ClassVar",
    "ConfigDict",
    "Dict",
    "Field",
    "List",
    "OpenApiException",
    "Optional",
    "Set",
    "StrictStr",
    // Java.
    "AbstractOpenApiSchema",
    "Headers",
    "HttpClient",
    "Map",
    "Override",
    "Pair",
    "Rfc3339DateFormat",
    "Rfc3339InstantDeserializer",
    "Rfc3339JavaTimeModule",
    "Thread",
    // C#: its clients were not built.
    "Attribute",
    "Error",
    "Exception",
    "Object",
    "Task",
    "Type",
];

/// The names in use, with all names that are derived from them.
#[derive(Debug)]
pub(super) struct Names {
    taken: BTreeSet<String>,
}

impl Names {
    /// The names that no schema can have beside these tags and operations.
    pub(super) fn new<'a>(
        tags: impl Iterator<Item = &'a str>,
        operations: impl Iterator<Item = &'a str>,
    ) -> Self {
        let mut taken: BTreeSet<String> = RESERVED.into_iter().flat_map(made_of).collect();
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

    /// Reserves a name. False if it would clash with another one.
    pub(super) fn take(&mut self, name: &str) -> bool {
        let made = made_of(name);
        let is_free = made.iter().all(|made| !self.taken.contains(made));
        if is_free {
            self.taken.extend(made);
        }
        is_free
    }
}

/// The names that generators derive from a name: its form as a file name and as an identifier, and the identifiers beside it.
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
        // The form of a name that the language already has.
        ("Model", ""),
    ];
    let identifier = pascal_case(name);
    let identifiers = around.iter().map(|(before, behind)| format!("{before}{identifier}{behind}"));
    identifiers.chain([key(name)]).collect()
}

/// A name reduced to its letters and digits, in lower case. Some file systems do not distinguish `Notebook` from `NoteBook`, and a
/// generator writes `note_book` in the style of its language. No identifier in [`made_of`] looks like this.
fn key(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase()).collect()
}

/// `stock-level` and `stock_level` are `StockLevel`.
pub(super) fn pascal_case(text: &str) -> String {
    let words = text.split(|letter: char| !letter.is_ascii_alphanumeric());
    words.fold(String::new(), |mut all, word| {
        let mut letters = word.chars();
        all.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        all.extend(letters);
        all
    })
}
