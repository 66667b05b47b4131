//! What a bundle's `config.json` says, in the words of the runtime specification: its parts that mean something on Linux.
//!
//! The types are of our own, and read by a reader of ours (ADR 41): what is wrong is told by its property, what stands there and
//! is nothing here is left out by name, and the program that is started twice for each container stays small.

mod devices;
mod hooks;
mod linux;
mod memory;
mod mounts;
mod process;
mod read;
mod resources;
mod spec;

pub(crate) use devices::{Device, DeviceType};
pub(crate) use hooks::{Hook, Hooks};
pub(crate) use linux::{IdMapping, Linux, NamespaceKind, TimeOffset};
pub(crate) use memory::{MemoryFlag, MemoryMode, MemoryPolicy, Personality, PersonalityDomain};
pub(crate) use mounts::Mount;
pub(crate) use process::{
    Capabilities, ConsoleSize, IoClass, IoPriority, Process, Scheduler, SchedulerFlag, SchedulerPolicy, User,
};
pub(crate) use read::Read;
pub(crate) use resources::{
    BlockIo, DeviceAllowance, HugepageLimit, InterfacePriority, Network, Resources, ThrottleDevice,
};
pub(crate) use spec::Spec;
