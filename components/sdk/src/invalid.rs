//! Everything that is wrong with a request, collected field by field.

use std::fmt::Write as _;

/// At most this many errors are listed. If a body has more, the others are left out.
pub const ERRORS_MAX: usize = 100;
/// At most this many characters of a name that the client chose are sent back to it. The rest is cut.
pub const NAME_CHARACTERS_MAX: usize = 100;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// Where: `name`, `items[0].quantity`, the name of a query parameter, or empty for the body as a whole.
    pub field: String,
    /// What, as a fragment that can follow the field's name: `must be a string`.
    pub message: String,
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Field(&'static str),
    Index(usize),
}

/// The errors found so far, and the place in the body that is being read.
#[derive(Debug, Default)]
pub struct Errors {
    found: Vec<FieldError>,
    path: Vec<Step>,
}

impl Errors {
    /// Adds an error at the field that is being read.
    pub fn add(&mut self, message: impl Into<String>) {
        let field = self.field();
        self.push(field, message.into());
    }

    /// Adds an error at a field of the object that is being read. A long name is cut: it may be the client's.
    pub fn add_at(&mut self, name: &str, message: impl Into<String>) {
        let mut field = self.field();
        if !field.is_empty() {
            field.push('.');
        }
        field.extend(name.chars().take(NAME_CHARACTERS_MAX));
        self.push(field, message.into());
    }

    /// Reads a field of an object. Errors that are added meanwhile are added at this field.
    pub fn in_field<T>(&mut self, name: &'static str, read: impl FnOnce(&mut Self) -> T) -> T {
        self.at(Step::Field(name), read)
    }

    /// Reads an item of a list. Errors that are added meanwhile are added at this item.
    pub fn in_item<T>(&mut self, index: usize, read: impl FnOnce(&mut Self) -> T) -> T {
        self.at(Step::Index(index), read)
    }

    /// Nothing was found.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// What was found.
    pub fn into_found(self) -> Vec<FieldError> {
        self.found
    }

    fn at<T>(&mut self, step: Step, read: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push(step);
        let value = read(self);
        self.path.pop();
        value
    }

    fn push(&mut self, field: String, message: String) {
        if self.found.len() < ERRORS_MAX {
            self.found.push(FieldError { field, message });
        }
    }

    fn field(&self) -> String {
        let mut field = String::new();
        for step in &self.path {
            match step {
                Step::Field(name) if field.is_empty() => field.push_str(name),
                Step::Field(name) => {
                    field.push('.');
                    field.push_str(name);
                }
                // Writing to a String cannot fail.
                Step::Index(index) => drop(write!(field, "[{index}]")),
            }
        }
        field
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_named_by_its_path() {
        let mut errors = Errors::default();
        errors.in_field("items", |errors| {
            errors.in_item(3, |errors| {
                errors.in_field("quantity", |errors| errors.add("is missing"));
                errors.add_at("colour", "is unknown");
            });
        });
        errors.add("is empty");
        let fields: Vec<String> = errors.into_found().into_iter().map(|error| error.field).collect();
        assert_eq!(fields, ["items[3].quantity", "items[3].colour", ""]);
    }

    #[test]
    fn a_long_name_is_truncated() {
        let mut errors = Errors::default();
        errors.add_at(&"ä".repeat(10_000), "is unknown");
        assert_eq!(errors.into_found()[0].field, "ä".repeat(NAME_CHARACTERS_MAX));
    }

    #[test]
    fn the_list_of_errors_is_bounded() {
        let mut errors = Errors::default();
        for index in 0..1000 {
            errors.in_item(index, |errors| errors.add("is wrong"));
        }
        assert_eq!(errors.into_found().len(), ERRORS_MAX);
    }
}
