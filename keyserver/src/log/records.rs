//! akd's records as bytes. A change here is a change of the schema in `keys/rows.rs`.

use akd::NodeLabel;
use akd::storage::types::{DbRecord, StorageType};
use akd::tree_node::{TreeNode, TreeNodeWithPreviousValue};

/// How many kinds of tree nodes akd has.
const NODE_KINDS: u8 = 3;

pub(super) fn kind(record: &DbRecord) -> StorageType {
    match record {
        DbRecord::Azks(_) => StorageType::Azks,
        DbRecord::TreeNode(_) => StorageType::TreeNode,
        DbRecord::ValueState(_) => StorageType::ValueState,
    }
}

/// - state of the tree: `BE64(newest epoch) ‖ BE64(nodes)`
/// - node: `label ‖ node now ‖ node before, or nothing`
/// - what was said: `BE64(version) ‖ BE64(epoch) ‖ label ‖ BE64(length of value) ‖ value ‖ handle`
pub(super) fn write(record: &DbRecord) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    match record {
        DbRecord::Azks(azks) => {
            number(&mut out, azks.latest_epoch);
            number(&mut out, azks.num_nodes);
        }
        DbRecord::TreeNode(node) => {
            label(&mut out, &node.label);
            one(&mut out, &node.latest_node);
            if let Some(previous) = &node.previous_node {
                one(&mut out, previous);
            }
        }
        DbRecord::ValueState(state) => {
            number(&mut out, state.version);
            number(&mut out, state.epoch);
            label(&mut out, &state.label);
            number(&mut out, state.value.len() as u64);
            out.extend_from_slice(&state.value);
            out.extend_from_slice(&state.username);
        }
    }
    out
}

/// What [`write`] wrote; `None` for anything else.
pub(super) fn read(kind: StorageType, row: &[u8]) -> Option<DbRecord> {
    let mut rest = row;
    let rest = &mut rest;
    Some(match kind {
        StorageType::Azks => {
            let azks = DbRecord::build_azks(take_number(rest)?, take_number(rest)?);
            rest.is_empty().then_some(DbRecord::Azks(azks))?
        }
        StorageType::TreeNode => {
            let label = take_label(rest)?;
            let now = take_one(rest)?;
            let before = if rest.is_empty() { None } else { Some(take_one(rest)?) };
            rest.is_empty().then(|| DbRecord::TreeNode(node(label, now, before)))?
        }
        StorageType::ValueState => {
            let (version, epoch, label) = (take_number(rest)?, take_number(rest)?, take_label(rest)?);
            let length = usize::try_from(take_number(rest)?).ok()?;
            let (value, name) = rest.split_at_checked(length)?;
            let (value, name) = (value.to_vec(), name.to_vec());
            DbRecord::ValueState(DbRecord::build_user_state(
                name,
                value,
                version,
                label.label_len,
                label.label_val,
                epoch,
            ))
        }
    })
}

/// A node without its label, which its two states share.
struct One {
    last_epoch: u64,
    min_descendant_epoch: u64,
    parent: NodeLabel,
    kind: u8,
    left: Option<NodeLabel>,
    right: Option<NodeLabel>,
    hash: [u8; 32],
}

fn node(label: NodeLabel, now: One, before: Option<One>) -> TreeNodeWithPreviousValue {
    let p = before.as_ref();
    DbRecord::build_tree_node_with_previous_value(
        label.label_val,
        label.label_len,
        now.last_epoch,
        now.min_descendant_epoch,
        now.parent.label_val,
        now.parent.label_len,
        now.kind,
        now.left,
        now.right,
        now.hash,
        p.map(|p| p.last_epoch),
        p.map(|p| p.min_descendant_epoch),
        p.map(|p| p.parent.label_val),
        p.map(|p| p.parent.label_len),
        p.map(|p| p.kind),
        p.and_then(|p| p.left),
        p.and_then(|p| p.right),
        p.map(|p| p.hash),
    )
}

fn one(out: &mut Vec<u8>, node: &TreeNode) {
    number(out, node.last_epoch);
    number(out, node.min_descendant_epoch);
    label(out, &node.parent);
    out.push(node.node_type as u8);
    for child in [&node.left_child, &node.right_child] {
        out.push(u8::from(child.is_some()));
        if let Some(child) = child {
            label(out, child);
        }
    }
    out.extend_from_slice(&node.hash.0);
}

fn take_one(rest: &mut &[u8]) -> Option<One> {
    let (last_epoch, min_descendant_epoch, parent) = (take_number(rest)?, take_number(rest)?, take_label(rest)?);
    let [kind] = take(rest)?;
    let mut child = || match take(rest)? {
        [0] => Some(None),
        [1] => take_label(rest).map(Some),
        _ => None,
    };
    let (left, right) = (child()?, child()?);
    let kind = Some(kind).filter(|kind| (1..=NODE_KINDS).contains(kind))?;
    Some(One { last_epoch, min_descendant_epoch, parent, kind, left, right, hash: take(rest)? })
}

fn number(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(&number.to_be_bytes());
}

fn label(out: &mut Vec<u8>, label: &NodeLabel) {
    out.extend_from_slice(&label.label_len.to_be_bytes());
    out.extend_from_slice(&label.label_val);
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, left) = rest.split_first_chunk()?;
    *rest = left;
    Some(*taken)
}

fn take_number(rest: &mut &[u8]) -> Option<u64> {
    take(rest).map(u64::from_be_bytes)
}

fn take_label(rest: &mut &[u8]) -> Option<NodeLabel> {
    let length = take(rest).map(u32::from_be_bytes).filter(|length| *length <= 256)?;
    Some(NodeLabel::new(take(rest)?, length))
}

#[cfg(test)]
pub(super) mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    pub(crate) fn node() -> TreeNodeWithPreviousValue {
        let label = |byte, length| NodeLabel::new([byte; 32], length);
        let one = |epoch, right| One {
            last_epoch: epoch,
            min_descendant_epoch: 1,
            parent: label(1, 7),
            kind: 1,
            left: Some(label(2, 256)),
            right,
            hash: [3; 32],
        };
        super::node(label(4, 9), one(8, Some(label(5, 11))), Some(one(6, None)))
    }

    #[test]
    fn records_read_back_the_same_and_a_row_that_is_cut_or_too_long_is_none() {
        let one = TreeNodeWithPreviousValue { previous_node: None, ..node() };
        let said = DbRecord::build_user_state(b"alice".to_vec(), vec![1; 72], 2, 256, [3; 32], 4);
        for record in [
            DbRecord::Azks(DbRecord::build_azks(1, 2)),
            DbRecord::TreeNode(node()),
            DbRecord::TreeNode(one),
            DbRecord::ValueState(said),
        ] {
            let row = write(&record);
            assert_eq!(read(kind(&record), &row).as_ref(), Some(&record));
            for length in 0..row.len() {
                assert_ne!(read(kind(&record), row.get(..length).unwrap()).as_ref(), Some(&record));
            }
        }
        assert_eq!(
            write(&DbRecord::Azks(DbRecord::build_azks(1, 2))),
            [[0, 0, 0, 0, 0, 0, 0, 1], [0, 0, 0, 0, 0, 0, 0, 2]].concat()
        );
    }
}
