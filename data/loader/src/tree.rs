//! The tree of categories that the catalogue's lines imply: department, product category, product type.
//!
//! Invariants: one node per distinct path, parents before their children, no two nodes with one slug, and the same
//! catalogue always gives the same tree, so that a second run finds what the first one made.

use std::collections::{BTreeMap, BTreeSet};

use crate::names;

/// A category that is to be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Node {
    /// The place of its parent in the tree; none for a department.
    pub(crate) parent: Option<usize>,
    /// What people read.
    pub(crate) name: String,
    /// What addresses are made of.
    pub(crate) slug: String,
}

/// All categories, and which path of the source leads to which.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Tree {
    nodes: Vec<Node>,
    places: BTreeMap<Vec<String>, usize>,
    levels: Vec<Vec<usize>>,
}

impl Tree {
    /// Builds the tree of the given paths and of all that lies above them. The order of the paths does not matter.
    pub(crate) fn of<'a>(paths: impl IntoIterator<Item = &'a [String]>) -> Tree {
        let mut all = BTreeSet::new();
        for path in paths {
            for length in 1..=path.len() {
                all.extend(path.get(..length).map(<[String]>::to_vec));
            }
        }
        let mut tree =
            Tree { nodes: Vec::with_capacity(all.len()), places: BTreeMap::new(), levels: Vec::new() };
        let mut taken = BTreeSet::new();
        // A set gives each path before those that it begins: parents come first.
        for path in all {
            let Some((last, above)) = path.split_last() else { continue };
            let words: Vec<&str> = path.iter().map(String::as_str).collect();
            let place = tree.nodes.len();
            tree.nodes.push(Node {
                parent: tree.place_of(above),
                name: names::title(last),
                slug: free_slug(&mut taken, names::slug(&words)),
            });
            if tree.levels.len() <= above.len() {
                tree.levels.resize(above.len() + 1, Vec::new());
            }
            if let Some(level) = tree.levels.get_mut(above.len()) {
                level.push(place);
            }
            tree.places.insert(path, place);
        }
        tree
    }

    /// The place of a path's category.
    pub(crate) fn place_of(&self, path: &[String]) -> Option<usize> {
        self.places.get(path).copied()
    }

    /// The category at a place.
    pub(crate) fn node(&self, place: usize) -> Option<&Node> {
        self.nodes.get(place)
    }

    /// How many categories there are.
    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// The places level by level, from the departments down: all of a level may be created at the same time.
    pub(crate) fn levels(&self) -> &[Vec<usize>] {
        &self.levels
    }

    /// All categories, parents first.
    pub(crate) fn nodes(&self) -> &[Node] {
        &self.nodes
    }
}

/// The slug itself, or where another path has it already the first of `slug-2`, `slug-3`, … that is free.
fn free_slug(taken: &mut BTreeSet<String>, slug: String) -> String {
    let mut candidate = slug.clone();
    let mut number = 2_u32;
    while !taken.insert(candidate.clone()) {
        candidate = format!("{slug}-{number}");
        number += 1;
    }
    candidate
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(levels: &[&str]) -> Vec<String> {
        levels.iter().map(|&level| level.to_owned()).collect()
    }

    #[test]
    fn a_path_brings_all_that_lies_above_it() {
        let beans = path(&["GROCERY", "HISPANIC", "BEANS"]);
        let tree = Tree::of([beans.as_slice()]);
        let slugs: Vec<&str> = tree.nodes().iter().map(|node| node.slug.as_str()).collect();
        assert_eq!(slugs, ["grocery", "grocery-hispanic", "grocery-hispanic-beans"]);
        assert_eq!(tree.nodes().iter().map(|node| node.parent).collect::<Vec<_>>(), [None, Some(0), Some(1)]);
        assert_eq!(tree.levels(), [[0], [1], [2]]);
    }

    #[test]
    fn paths_that_read_alike_get_slugs_of_their_own_whatever_their_order() {
        let paths = [path(&["A B"]), path(&["A", "B"]), path(&["A-B"]), path(&["A", "B-2"])];
        let forwards = Tree::of(paths.iter().map(Vec::as_slice));
        let backwards = Tree::of(paths.iter().rev().map(Vec::as_slice));
        assert_eq!(forwards, backwards);
        let slugs: Vec<&str> = forwards.nodes().iter().map(|node| node.slug.as_str()).collect();
        assert_eq!(slugs, ["a", "a-b", "a-b-2", "a-b-3", "a-b-4"]);
    }
}
