//! The errors of a manifest, collected while it is read.

use std::ops::Range;

use super::Mistake;

/// Collects mistakes, with the text that their positions refer to.
pub(super) struct Report<'t> {
    text: &'t str,
    pub(super) mistakes: Vec<Mistake>,
}

impl<'t> Report<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { text, mistakes: Vec::new() }
    }

    pub(super) fn line(&self, span: &Range<usize>) -> usize {
        self.text.bytes().take(span.start).filter(|byte| *byte == b'\n').count() + 1
    }

    pub(super) fn add(&mut self, span: &Range<usize>, message: String) {
        let line = self.line(span);
        self.mistakes.push(Mistake { line, message });
    }
}
