//! The text of a file with its mutants in it.
//!
//! `a < b` becomes `(match () { () if on(7) => a <= b, () => a < b })`, and so on. A changed part is taken from the file as it was: one
//! mutant is on at a time, so none is needed in another.

use crate::mutant::{Genre, Id, Mutant, Position};
use anyhow::Result;
use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use syn::punctuated::Pair;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Arm, Block, Expr, ExprBinary, ExprStruct, ExprUnary};

/// The module that each crate gets.
pub(crate) const MODULE: &str = "mutation_switch";

/// A place of the written file, in bytes.
pub(crate) struct Region {
    pub(crate) range: Range<usize>,
    /// The mutants that it belongs to.
    pub(crate) ids: Vec<Id>,
    /// Whether it is what one of them changes the code into; otherwise it is the whole of a switch.
    pub(crate) is_mutant: bool,
}

/// A file with its switches.
pub(crate) struct Switched {
    pub(crate) text: String,
    pub(crate) regions: Vec<Region>,
    /// Those of `if let … && …`, which can be nothing else than `&&`.
    pub(crate) beside_let: Vec<Id>,
    /// Those for which no place is found.
    pub(crate) without_place: Vec<Id>,
}

/// `text` with the mutants that are to be in it.
pub(crate) fn switched(text: &str, mutants: Vec<(Id, &Mutant)>) -> Result<Switched> {
    let mut by_place: HashMap<(usize, Genre), Vec<(Id, &Mutant)>> = HashMap::new();
    let mut without_place: BTreeSet<Id> = BTreeSet::new();
    for (id, mutant) in mutants {
        by_place.entry((offset(text, mutant.span.start), mutant.genre)).or_default().push((id, mutant));
        without_place.insert(id);
    }
    let mut finder = Finder { text, by_place, beside_let: Vec::new(), without_place, switches: Vec::new() };
    finder.visit_file(&syn::parse_file(text)?);
    let Finder { mut switches, beside_let, without_place, .. } = finder;
    // From the left, and the outer before the inner. What has no length is inserted, and comes before what begins there.
    switches.sort_by_key(|switch| (switch.range.start, !switch.range.is_empty(), Reverse(switch.range.end)));
    let mut writer = Writer { text, out: String::new(), regions: Vec::new() };
    writer.write(0..text.len(), &switches);
    Ok(Switched {
        text: writer.out,
        regions: writer.regions,
        beside_let,
        without_place: without_place.into_iter().collect(),
    })
}

/// The root of a crate that has the module of the switches.
pub(crate) fn with_module(text: &str) -> Result<String> {
    let first = syn::parse_file(text)?.items.first().map_or(text.len(), |item| bytes(item).start);
    let (attributes, items) = text.split_at(first);
    Ok(format!(
        "#![allow(warnings, arithmetic_overflow, clippy::all)]\n{attributes}#[allow(missing_docs)]\nmod {MODULE};\n{items}"
    ))
}

fn bytes(node: &impl Spanned) -> Range<usize> {
    node.span().byte_range()
}

fn offset(text: &str, position: Position) -> usize {
    let line: usize = text.split_inclusive('\n').take(position.line - 1).map(str::len).sum();
    let rest = text.get(line..).unwrap_or_default();
    line + rest.chars().take(position.column - 1).map(char::len_utf8).sum::<usize>()
}

struct Switch {
    /// What it stands in the place of; empty if it is inserted.
    range: Range<usize>,
    kind: Kind,
}

enum Kind {
    /// An expression, and what else it can be.
    Choice(Vec<(Id, String)>),
    /// Before the first statement of a function: what else it can give.
    Value(Vec<(Id, String)>),
    Guard {
        always: Option<Id>,
        never: Option<Id>,
        without_arm: Option<Id>,
    },
    /// After the pattern of an arm that has no guard.
    WithoutArm(Id),
}

struct Finder<'t, 'm> {
    text: &'t str,
    by_place: HashMap<(usize, Genre), Vec<(Id, &'m Mutant)>>,
    beside_let: Vec<Id>,
    without_place: BTreeSet<Id>,
    switches: Vec<Switch>,
}

impl<'m> Finder<'_, 'm> {
    /// The mutants of a kind that begin at a place.
    fn take(&mut self, start: usize, genre: Genre) -> Vec<(Id, &'m Mutant)> {
        let found = self.by_place.remove(&(start, genre)).unwrap_or_default();
        for (id, _) in &found {
            self.without_place.remove(id);
        }
        found
    }

    fn part(&self, range: Range<usize>) -> &str {
        self.text.get(range).unwrap_or_default()
    }

    fn choice(&mut self, range: Range<usize>, others: Vec<(Id, String)>) {
        if !others.is_empty() {
            self.switches.push(Switch { range, kind: Kind::Choice(others) });
        }
    }
}

impl<'ast> Visit<'ast> for Finder<'_, '_> {
    fn visit_expr_binary(&mut self, node: &'ast ExprBinary) {
        let mutants = self.take(bytes(&node.op).start, Genre::BinaryOperator);
        // The parts of `if let … && …` are no expressions of their own.
        if has_let(&node.left) || has_let(&node.right) {
            self.beside_let.extend(mutants.into_iter().map(|(id, _)| id));
        } else {
            let (range, (left, right)) = (bytes(node), (bytes(&node.left), bytes(&node.right)));
            let others = mutants.into_iter().map(|(id, mutant)| {
                let operator = &mutant.replacement;
                let (left, right) = (self.part(range.start..left.end), self.part(right.start..range.end));
                (id, format!("{left} {operator} {right}"))
            });
            let others = others.collect();
            self.choice(range, others);
        }
        visit::visit_expr_binary(self, node);
    }

    fn visit_expr_unary(&mut self, node: &'ast ExprUnary) {
        let range = bytes(node);
        let mutants = self.take(range.start, Genre::UnaryOperator);
        let operand = self.part(bytes(&node.expr)).to_owned();
        self.choice(range, mutants.into_iter().map(|(id, _)| (id, operand.clone())).collect());
        visit::visit_expr_unary(self, node);
    }

    fn visit_expr_struct(&mut self, node: &'ast ExprStruct) {
        let range = bytes(node);
        let mut others = Vec::new();
        for pair in node.fields.pairs() {
            let field = bytes(*pair.value());
            let end = match &pair {
                Pair::Punctuated(_, comma) => bytes(*comma).end,
                Pair::End(_) => field.end,
            };
            for (id, _) in self.take(field.start, Genre::StructField) {
                others.push((
                    id,
                    format!("{}{}", self.part(range.start..field.start), self.part(end..range.end)),
                ));
            }
        }
        self.choice(range, others);
        visit::visit_expr_struct(self, node);
    }

    fn visit_arm(&mut self, node: &'ast Arm) {
        let without_arm = self.take(bytes(node).start, Genre::MatchArm).first().map(|(id, _)| *id);
        if let Some((_, guard)) = &node.guard {
            let range = bytes(guard);
            let mutants = self.take(range.start, Genre::MatchArmGuard);
            let by =
                |value| mutants.iter().find(|(_, mutant)| mutant.replacement == value).map(|(id, _)| *id);
            let (always, never) = (by("true"), by("false"));
            if always.or(never).or(without_arm).is_some() {
                self.switches.push(Switch { range, kind: Kind::Guard { always, never, without_arm } });
            }
        } else if let Some(id) = without_arm {
            let end = bytes(&node.pat).end;
            self.switches.push(Switch { range: end..end, kind: Kind::WithoutArm(id) });
        }
        visit::visit_arm(self, node);
    }

    fn visit_block(&mut self, node: &'ast Block) {
        if let (Some(first), Some(last)) = (node.stmts.first(), node.stmts.last()) {
            let (start, end) = (bytes(first).start, bytes(last).end);
            // The first statement of a function may begin with a block of its own.
            let place = (start, Genre::FnValue);
            let is_whole = |mutants: &Vec<(Id, &Mutant)>| {
                mutants.iter().all(|(_, mutant)| offset(self.text, mutant.span.end) == end)
            };
            if self.by_place.get(&place).is_some_and(is_whole) {
                let values = self.take(start, Genre::FnValue);
                let values =
                    values.into_iter().map(|(id, mutant)| (id, mutant.replacement.clone())).collect();
                self.switches.push(Switch { range: start..start, kind: Kind::Value(values) });
            }
        }
        visit::visit_block(self, node);
    }
}

fn has_let(expression: &Expr) -> bool {
    match expression {
        Expr::Let(_) => true,
        Expr::Binary(binary) => has_let(&binary.left) || has_let(&binary.right),
        _ => false,
    }
}

struct Writer<'t> {
    text: &'t str,
    out: String,
    regions: Vec<Region>,
}

impl Writer<'_> {
    /// Writes a part of the file with the switches in it.
    fn write(&mut self, range: Range<usize>, mut switches: &[Switch]) {
        let mut at = range.start;
        while let Some((switch, rest)) = switches.split_first() {
            let inner = rest.iter().take_while(|other| other.range.start < switch.range.end).count();
            let (inner, rest) = rest.split_at(inner);
            switches = rest;
            self.copy(at..switch.range.start);
            at = switch.range.end;
            let start = self.out.len();
            let ids = self.switch(switch, inner);
            self.regions.push(Region { range: start..self.out.len(), ids, is_mutant: false });
        }
        self.copy(at..range.end);
    }

    fn switch(&mut self, switch: &Switch, inner: &[Switch]) -> Vec<Id> {
        match &switch.kind {
            Kind::Choice(others) => {
                self.out.push_str("(match () {");
                for (id, other) in others {
                    self.out.push_str(&format!(" () if {} => ", on(*id)));
                    self.mutant(*id, other);
                    self.out.push(',');
                }
                self.out.push_str(" () => ");
                self.write(switch.range.clone(), inner);
                self.out.push_str(" })");
                others.iter().map(|(id, _)| *id).collect()
            }
            Kind::Value(values) => {
                for (id, value) in values {
                    self.out.push_str(&format!("if {} {{ ", on(*id)));
                    self.mutant(*id, &format!("return {value};"));
                    self.out.push_str(" }\n");
                }
                values.iter().map(|(id, _)| *id).collect()
            }
            Kind::Guard { always, never, without_arm } => {
                self.out.push('(');
                for id in [without_arm, never].into_iter().flatten() {
                    self.out.push_str(&format!("!{} && ", on(*id)));
                }
                self.out.push('(');
                if let Some(id) = always {
                    self.out.push_str(&format!("{} || ", on(*id)));
                }
                self.out.push('(');
                self.write(switch.range.clone(), inner);
                self.out.push_str(")))");
                [*always, *never, *without_arm].into_iter().flatten().collect()
            }
            Kind::WithoutArm(id) => {
                self.out.push_str(&format!(" if !{}", on(*id)));
                vec![*id]
            }
        }
    }

    fn mutant(&mut self, id: Id, text: &str) {
        let start = self.out.len();
        self.out.push_str(text);
        self.regions.push(Region { range: start..self.out.len(), ids: vec![id], is_mutant: true });
    }

    fn copy(&mut self, range: Range<usize>) {
        self.out.push_str(self.text.get(range).unwrap_or_default());
    }
}

fn on(id: Id) -> String {
    format!("crate::{MODULE}::on({id})")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The file with mutants: each the text that it is about, of which the first counts, its genre and its replacement.
    fn with(text: &str, mutants: &[(&str, &str, &str)]) -> String {
        let position = |offset: usize| {
            let before = &text[..offset];
            let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
            serde_json::json!({ "line": before.matches('\n').count() + 1, "column": column })
        };
        let mutants: Vec<Mutant> = mutants
            .iter()
            .map(|(part, genre, replacement)| {
                let start = text.find(part).unwrap();
                serde_json::from_value(serde_json::json!({
                    "name": "a.rs:1:1: a change", "package": "a", "file": "a.rs", "genre": genre, "replacement": replacement,
                    "span": { "start": position(start), "end": position(start + part.len()) }, "function": null,
                }))
                .unwrap()
            })
            .collect();
        let switched = switched(text, (1..).zip(&mutants).collect()).unwrap();
        assert_eq!(switched.without_place, [0; 0]);
        switched.text.replace("crate::mutation_switch::", "").split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn each_kind_of_mutant_is_put_behind_a_switch() {
        for (text, mutants, expected) in [
            (
                "fn é(a: u8) -> bool { 'é' == 'e' && a < 1 }",
                &[("==", "BinaryOperator", "!="), ("<", "BinaryOperator", ">")][..],
                "fn é(a: u8) -> bool { (match () { () if on(1) => 'é' != 'e', () => 'é' == 'e' }) && \
                 (match () { () if on(2) => a > 1, () => a < 1 }) }",
            ),
            (
                "fn a() -> bool { x() && !y() }",
                &[
                    ("x() && !y()", "FnValue", "true"),
                    ("&&", "BinaryOperator", "||"),
                    ("!", "UnaryOperator", ""),
                ],
                "fn a() -> bool { if on(1) { return true; } (match () { () if on(2) => x() || !y(), () => x() && \
                 (match () { () if on(3) => y(), () => !y() }) }) }",
            ),
            (
                "fn a() { match b { 1 if good => d(), 2 => e(), _ => f() } }",
                &[
                    ("good", "MatchArmGuard", "true"),
                    ("good", "MatchArmGuard", "false"),
                    ("1 if good => d()", "MatchArm", ""),
                    ("2 => e()", "MatchArm", ""),
                ],
                "fn a() { match b { 1 if (!on(3) && !on(2) && (on(1) || (good))) => d(), 2 if !on(4) => e(), _ => f() } }",
            ),
            (
                "fn a() -> S { S { b: 1, ..c() } }",
                &[("b: 1", "StructField", "")],
                "fn a() -> S { (match () { () if on(1) => S { ..c() }, () => S { b: 1, ..c() } }) }",
            ),
        ] {
            assert_eq!(with(text, mutants), expected, "{text}");
        }
    }

    #[test]
    fn module_is_inserted_after_the_crate_attributes() {
        let root = with_module("//! A crate.\n#![deny(unsafe_code)]\n\n/// An item.\nmod a;\n").unwrap();
        let (before, behind) = root.split_once("mod mutation_switch;").unwrap();
        assert!(
            before.contains("#![deny(unsafe_code)]") && behind.contains("/// An item.\nmod a;"),
            "{root}"
        );
    }
}
