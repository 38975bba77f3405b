//! The SQL statements that a component contains as texts.
//!
//! In nearly every service, a statement is a literal in the code. In a compiled module a literal is bytes in the data section, plus an
//! address and a length: two constants, one after the other in the code, or side by side in the data. So pairs whose bytes begin like a
//! statement are statements, or parts of statements. Statements that are built at run time are not found. This module is for checks of
//! statements before a service runs them. Like `imports.rs` it never panics, whatever the bytes are.

use std::collections::BTreeSet;

use wasmparser::{DataKind, Operator, Parser, Payload};

/// The keywords that a handler's statement begins with.
const KEYWORDS: [&str; 6] = ["SELECT", "INSERT", "UPDATE", "DELETE", "WITH", "REPLACE"];
/// The minimum and maximum length of a statement in bytes.
const BYTES: std::ops::RangeInclusive<u32> = 8..=64 * 1024;

/// The texts in a component that begin like SQL statements, each once, in alphabetical order.
#[must_use]
pub fn statements(component: &[u8]) -> Vec<String> {
    let mut found = BTreeSet::new();
    let mut module = Module::default();
    for payload in Parser::new(0).parse_all(component) {
        // Bytes that are not WebAssembly are reported by the validation.
        let Ok(payload) = payload else { break };
        match payload {
            Payload::Version { .. } => std::mem::take(&mut module).add_to(&mut found),
            Payload::CodeSectionEntry(body) => {
                let Ok(operators) = body.get_operators_reader() else { continue };
                let mut before = None;
                for operator in operators.into_iter().map_while(Result::ok) {
                    let constant = match operator {
                        Operator::I32Const { value } => Some(value.cast_unsigned()),
                        _ => None,
                    };
                    if let (Some(address), Some(length)) = (before, constant) {
                        module.note(address, length);
                    }
                    before = constant;
                }
            }
            Payload::DataSection(data) => {
                for data in data.into_iter().map_while(Result::ok) {
                    let DataKind::Active { memory_index: 0, offset_expr } = data.kind else { continue };
                    let mut offset = offset_expr.get_operators_reader();
                    if let Ok(Operator::I32Const { value }) = offset.read() {
                        module.data.push((value.cast_unsigned(), data.data));
                    }
                }
            }
            _ => {}
        }
    }
    module.add_to(&mut found);
    found.into_iter().collect()
}

/// The known parts of a core module.
#[derive(Default)]
struct Module<'m> {
    /// Pairs of address and length, in order.
    pairs: BTreeSet<(u32, u32)>,
    /// Data, by the address of its first byte.
    data: Vec<(u32, &'m [u8])>,
}

impl<'m> Module<'m> {
    fn note(&mut self, address: u32, length: u32) {
        if address > 0 && BYTES.contains(&length) {
            self.pairs.insert((address, length));
        }
    }

    fn text(&self, address: u32, length: u32) -> Option<&'m str> {
        let bytes = self.data.iter().find_map(|(first, bytes)| {
            let start = address.checked_sub(*first)? as usize;
            bytes.get(start..start.checked_add(length as usize)?)
        })?;
        let start = bytes.iter().position(|byte| !byte.is_ascii_whitespace())?;
        let begins = |keyword: &&str| {
            let word = bytes.get(start..start + keyword.len());
            let behind = bytes.get(start + keyword.len());
            word.is_some_and(|word| word.eq_ignore_ascii_case(keyword.as_bytes()))
                && behind.is_some_and(u8::is_ascii_whitespace)
        };
        KEYWORDS.iter().any(begins).then(|| std::str::from_utf8(bytes).ok()).flatten()
    }

    fn add_to(mut self, found: &mut BTreeSet<String>) {
        let number = |bytes: &[u8]| bytes.try_into().map(u32::from_le_bytes).unwrap_or_default();
        for (_, bytes) in self.data.clone() {
            let words = bytes.chunks_exact(4).map(number);
            words.clone().zip(words.skip(1)).for_each(|(address, length)| self.note(address, length));
        }
        let texts = self.pairs.iter().filter_map(|(address, length)| self.text(*address, *length));
        found.extend(texts.map(str::to_owned));
    }
}

#[cfg(test)]
mod tests {
    use wasm_encoder::{
        CodeSection, ConstExpr, DataSection, Function, FunctionSection, Instruction, MemorySection,
        MemoryType, Module, TypeSection, ValType,
    };

    use super::statements;

    /// A module whose code has these pairs of constants, and whose data starts at 1024.
    fn module(pairs: &[(i32, i32)], data: &[u8]) -> Vec<u8> {
        let (mut types, mut functions, mut memories) =
            (TypeSection::new(), FunctionSection::new(), MemorySection::new());
        types.ty().function([], [ValType::I32]);
        functions.function(0);
        memories.memory(MemoryType {
            minimum: 1,
            maximum: None,
            memory64: false,
            shared: false,
            page_size_log2: None,
        });
        let mut function = Function::new([]);
        for (address, length) in pairs {
            function.instruction(&Instruction::I32Const(*address));
            function.instruction(&Instruction::I32Const(*length));
            function.instruction(&Instruction::Drop);
            function.instruction(&Instruction::Drop);
        }
        function.instruction(&Instruction::I32Const(0));
        function.instruction(&Instruction::End);
        let (mut code, mut section) = (CodeSection::new(), DataSection::new());
        code.function(&function);
        section.active(0, &ConstExpr::i32_const(1024), data.iter().copied());
        let mut module = Module::new();
        module.section(&types).section(&functions).section(&memories).section(&code).section(&section);
        module.finish()
    }

    #[test]
    fn statements_are_texts_that_code_or_data_reference_by_pointer_and_length() {
        let mut data = b"SELECT id FROM note WHERE id = ?1UPDATE note SET a = 1selected by hand".to_vec();
        // In the data: four bytes for each, at an address that is a multiple of four.
        data.resize(72, 0);
        data.extend(1057_u32.to_le_bytes());
        data.extend(21_u32.to_le_bytes());
        let found = statements(&module(&[(1024, 33), (1078, 16), (4096, 33), (1024, 1 << 30)], &data));
        assert_eq!(found, ["SELECT id FROM note WHERE id = ?1", "UPDATE note SET a = 1"]);
    }

    #[test]
    fn no_input_bytes_cause_a_panic() {
        let whole = module(&[(1024, 33), (-1, -1)], b"SELECT id FROM note WHERE id = ?1");
        for cut in 0..whole.len() {
            let _ = statements(whole.get(..cut).unwrap());
        }
        assert!(statements(b"no WebAssembly").is_empty());
    }
}
