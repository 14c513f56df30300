//! What follows from the shape of a plan alone: cycles, fan-out, recursion.

use std::collections::HashSet;

use super::super::CompileError;
use super::node::Node;

/// Schemas that apply to a value within each other, one in place of the other.
const MAX_IN_PLACE_CHAIN: u32 = 64;
/// Schemas that apply to one value in all, without those for its parts.
const MAX_IN_PLACE: u64 = 20_000;
/// Visits below which the validator does not remember a recursion's result.
const REMEMBERED_VISITS: u64 = 16;

/// Refuses schemas that apply themselves to the same value again, or too many others to it.
pub(super) fn check_in_place(nodes: &[Node]) -> Result<(), CompileError> {
    let order = post_order(nodes, |node| node.in_place.clone()).map_err(|Cycle| {
        CompileError::new("the schema refers back to itself without descending into the value (a $ref cycle)")
    })?;
    let mut totals: Vec<(u64, u32)> = vec![(0, 0); nodes.len()];
    for id in order {
        let Some(node) = nodes.get(id) else { continue };
        let below = |total: &mut (u64, u32), other: &usize| {
            let (steps, chain) = totals.get(*other).copied().unwrap_or_default();
            total.0 = total.0.saturating_add(steps);
            total.1 = total.1.max(chain);
        };
        let mut total = (0, 0);
        node.in_place.iter().for_each(|other| below(&mut total, other));
        // What `unevaluated…` asks again, see `Walk::mark`.
        let again = if node.unevaluated { 2 } else { 1 };
        total = (
            total.0.saturating_mul(again).saturating_add(1),
            total.1.saturating_add(1),
        );
        if total.0 > MAX_IN_PLACE {
            return Err(CompileError::new(format!(
                "more than {MAX_IN_PLACE} of the schema's subschemas apply to one value (its $refs multiply)"
            )));
        }
        if total.1 > MAX_IN_PLACE_CHAIN {
            return Err(CompileError::new(format!(
                "the schema follows more than {MAX_IN_PLACE_CHAIN} references for one value"
            )));
        }
        if let Some(place) = totals.get_mut(id) {
            *place = total;
        }
    }
    Ok(())
}

/// Steps for one part of a value at most, if the schema is not recursive and applies at most
/// `max_chain` schemas within each other, from the root of a value to its leaves.
pub(super) fn steps_per_part(nodes: &[Node], max_chain: usize) -> Option<u64> {
    /// What one subschema takes, with all that it leads to.
    #[derive(Clone, Copy, Default)]
    struct Total {
        /// Steps to validate by it, and to mark what it evaluates.
        valid: u64,
        mark: u64,
        chain: usize,
    }
    let order = post_order(nodes, |node| {
        node.in_place.iter().copied().chain(node.parts()).collect()
    })
    .ok()?;
    let mut totals = vec![Total::default(); nodes.len()];
    for id in order {
        let Some(node) = nodes.get(id) else { continue };
        let below = |id: usize| totals.get(id).copied().unwrap_or_default();
        let own = [
            node.cost,
            node.string_weight,
            node.name_weight,
            if node.unique { 4 } else { 2 },
        ];
        let mut total = Total {
            valid: own.into_iter().fold(0, u64::saturating_add),
            ..Total::default()
        };
        for part in node.parts().map(below) {
            total.valid = total.valid.saturating_add(part.valid);
            total.chain = total.chain.max(part.chain);
        }
        for other in node.in_place.iter().map(|id| below(*id)) {
            total.valid = total.valid.saturating_add(other.valid);
            total.mark = total.mark.saturating_add(other.mark);
            total.chain = total.chain.max(other.chain);
        }
        total.mark = total.mark.saturating_add(total.valid);
        total.chain += if node.unevaluated { 2 } else { 1 };
        if node.unevaluated {
            total.valid = total.valid.saturating_add(total.mark);
        }
        if let Some(place) = totals.get_mut(id) {
            *place = total;
        }
    }
    totals
        .first()
        .filter(|root| root.chain <= max_chain)
        .map(|root| root.valid)
}

/// Marks where a schema recurses into itself by a single reference target, with what visiting it
/// again costs at most.
///
/// The validator remembers whether an array or object fits such a target, from
/// [`REMEMBERED_VISITS`] visits of work on: a recursive schema with ten alternatives is not
/// evaluated 10ⁿ times at depth n. Of targets that recurse through each other only some are
/// remembered, so those are counted in full.
pub(super) fn mark_recursion(nodes: &mut [Node], referenced: &HashSet<usize>) {
    for component in components(nodes) {
        let mut targets = component.iter().copied().filter(|id| referenced.contains(id));
        if let (Some(only), None) = (targets.next(), targets.next())
            && let Some(node) = nodes.get_mut(only)
        {
            node.recursion = Some(REMEMBERED_VISITS.saturating_mul(component.len() as u64));
        }
    }
}

/// The strongly connected components of more than one node, by Kosaraju's algorithm.
fn components(nodes: &[Node]) -> Vec<Vec<usize>> {
    let below = |node: &Node| {
        node.in_place
            .iter()
            .copied()
            .chain(node.parts())
            .collect::<Vec<_>>()
    };
    let mut above: Vec<Vec<usize>> = vec![Vec::new(); nodes.len()];
    for (id, node) in nodes.iter().enumerate() {
        for other in below(node) {
            if let Some(list) = above.get_mut(other) {
                list.push(id);
            }
        }
    }
    let (order, _) = finished(nodes.len(), |id| nodes.get(id).map(below).unwrap_or_default());
    let mut assigned = vec![false; nodes.len()];
    let mut components = Vec::new();
    for start in order.into_iter().rev() {
        let mut component = Vec::new();
        let mut open = vec![start];
        while let Some(id) = open.pop() {
            if let Some(assigned) = assigned.get_mut(id)
                && !std::mem::replace(assigned, true)
            {
                component.push(id);
                open.extend(above.get(id).into_iter().flatten());
            }
        }
        if component.len() > 1 {
            components.push(component);
        }
    }
    components
}

struct Cycle;

/// Every node after all it leads to.
fn post_order(nodes: &[Node], below: impl Fn(&Node) -> Vec<usize>) -> Result<Vec<usize>, Cycle> {
    match finished(nodes.len(), |id| nodes.get(id).map(&below).unwrap_or_default()) {
        (order, false) => Ok(order),
        (_, true) => Err(Cycle),
    }
}

/// The order in which a depth-first search leaves the nodes, and whether it met a cycle. Without
/// recursion: chains are as long as the schema.
fn finished(count: usize, below: impl Fn(usize) -> Vec<usize>) -> (Vec<usize>, bool) {
    #[derive(Clone, Copy)]
    enum Seen {
        Not,
        Open,
        Done,
    }
    let mut seen = vec![Seen::Not; count];
    let mut order = Vec::with_capacity(count);
    let mut cyclic = false;
    for start in 0..count {
        let mut path: Vec<(usize, Vec<usize>)> = Vec::new();
        let mut next = Some(start);
        loop {
            if let Some((id, state)) = next.and_then(|id| Some((id, seen.get_mut(id)?))) {
                match state {
                    Seen::Not => {
                        *state = Seen::Open;
                        path.push((id, below(id)));
                    }
                    Seen::Open => cyclic = true,
                    Seen::Done => {}
                }
            }
            let Some((id, left)) = path.last_mut() else { break };
            next = left.pop();
            if next.is_none() {
                if let Some(state) = seen.get_mut(*id) {
                    *state = Seen::Done;
                }
                order.push(*id);
                path.pop();
            }
        }
    }
    (order, cyclic)
}
