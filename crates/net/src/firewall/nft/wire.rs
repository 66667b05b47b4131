//! How rules are written in messages: numbers of linux/netfilter/nfnetlink.h and linux/netfilter/nf_tables.h.

use crate::netlink::{Message, Part};

/// `NFNL_SUBSYS_NFTABLES`, the upper half of a message's type.
const SUBSYSTEM: u16 = 10;

/// Types of messages (`NFNL_MSG_BATCH_…`, `NFT_MSG_…`).
pub(super) mod kind {
    use super::SUBSYSTEM;

    pub(crate) const BATCH_BEGIN: u16 = 16;
    pub(crate) const BATCH_END: u16 = 17;
    pub(crate) const NEW_TABLE: u16 = SUBSYSTEM << 8;
    pub(crate) const DEL_TABLE: u16 = NEW_TABLE + 2;
    pub(crate) const NEW_CHAIN: u16 = NEW_TABLE + 3;
    pub(crate) const GET_CHAIN: u16 = NEW_TABLE + 4;
    pub(crate) const NEW_RULE: u16 = NEW_TABLE + 6;
    pub(crate) const GET_RULE: u16 = NEW_TABLE + 7;
    pub(crate) const DEL_RULE: u16 = NEW_TABLE + 8;
    pub(crate) const NEW_SET: u16 = NEW_TABLE + 9;
    pub(crate) const NEW_ELEMENT: u16 = NEW_TABLE + 12;
    pub(crate) const GET_ELEMENT: u16 = NEW_TABLE + 13;
    pub(crate) const DEL_ELEMENT: u16 = NEW_TABLE + 14;
    pub(crate) const GET_GENERATION: u16 = NEW_TABLE + 16;
}

/// `NFTA_LIST_ELEM`: one of a list.
pub(super) const ONE: u16 = 1;
/// `NFTA_DATA_VALUE`, and the verdict beside it.
pub(super) const VALUE: u16 = 1;
pub(super) const VERDICT: u16 = 2;
/// `NFNL_BATCH_GENID`, and `NFTA_GEN_ID` of the answer to [`kind::GET_GENERATION`].
pub(super) const GENERATION: u16 = 1;
/// `NFTA_TABLE_NAME`; `…_TABLE` of everything that is in one.
pub(super) const TABLE: u16 = 1;

/// Attributes of a chain (`NFTA_CHAIN_…`), and of its hook.
pub(super) mod chain {
    pub(crate) const NAME: u16 = 3;
    pub(crate) const HOOK: u16 = 4;
    pub(crate) const POLICY: u16 = 5;
    /// Rules in it, and those that jump to it.
    pub(crate) const USES: u16 = 6;
    pub(crate) const TYPE: u16 = 7;
    pub(crate) const HOOK_NUMBER: u16 = 1;
    pub(crate) const HOOK_PRIORITY: u16 = 2;
}

/// Attributes of a rule (`NFTA_RULE_…`).
pub(super) mod rule {
    pub(crate) const CHAIN: u16 = 2;
    pub(crate) const EXPRESSIONS: u16 = 4;
    pub(crate) const USERDATA: u16 = 7;
}

/// Attributes of a set (`NFTA_SET_…`).
pub(super) mod set {
    pub(crate) const NAME: u16 = 2;
    pub(crate) const FLAGS: u16 = 3;
    pub(crate) const KEY_TYPE: u16 = 4;
    pub(crate) const KEY_LENGTH: u16 = 5;
    pub(crate) const DATA_TYPE: u16 = 6;
    pub(crate) const DATA_LENGTH: u16 = 7;
    pub(crate) const ID: u16 = 10;
    pub(crate) const USERDATA: u16 = 13;
    /// `NFT_SET_INTERVAL`
    pub(crate) const INTERVAL: u32 = 0x4;
    /// `NFT_SET_MAP`
    pub(crate) const MAP: u32 = 0x8;
}

/// Attributes of a list of elements (`NFTA_SET_ELEM_LIST_…`), and of one of them (`NFTA_SET_ELEM_…`).
pub(super) mod element {
    pub(crate) const SET: u16 = 2;
    pub(crate) const ELEMENTS: u16 = 3;
    pub(crate) const KEY: u16 = 1;
    pub(crate) const DATA: u16 = 2;
    pub(crate) const FLAGS: u16 = 3;
    /// `NFT_SET_ELEM_INTERVAL_END`
    pub(crate) const END: u32 = 1;
}

/// `NFPROTO_INET`: both families.
const INET: u8 = 1;
/// `struct nfgenmsg` of everything that is in a table of both families.
pub(super) const HEADER: [u8; 4] = [INET, 0, 0, 0];

/// A part of a batch about something in the table.
pub(super) fn part(part: Part, kind: u16, table: &str) -> Message {
    let mut message = Message::part(part, kind, &HEADER);
    message.put_text(TABLE, table);
    message
}

/// The first message of a batch: it is for rules, and for those of this generation where one is named.
pub(super) fn begin(generation: Option<u32>) -> Message {
    let [high, low] = SUBSYSTEM.to_be_bytes();
    let mut message = Message::part(Part::Change, kind::BATCH_BEGIN, &[0, 0, high, low]);
    if let Some(generation) = generation {
        message.put_be32(GENERATION, generation);
    }
    message
}

/// The last message of a batch.
pub(super) fn end() -> Message {
    let [high, low] = SUBSYSTEM.to_be_bytes();
    Message::part(Part::Change, kind::BATCH_END, &[0, 0, high, low])
}
