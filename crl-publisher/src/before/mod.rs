//! The writer, the reader and the gate that hold a whole list in memory; goes when nothing calls them any more.

pub mod entry;
pub mod gate;
pub mod list;
pub mod read_back;
