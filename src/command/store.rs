//! `tsunagi store`

use clap::{Args, Subcommand};

use crate::failure::Failure;
use crate::output::Output;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Print the SQL that gives each role's PostgreSQL user what it needs and nothing more
    ///
    /// To be run once, by the owner of the tables, after `init`: the RA's user can then neither write a beacon nor a certificate,
    /// and the status service's user cannot write at all. The users must exist.
    Grants(Grants),
}

#[derive(Debug, Args)]
pub(crate) struct Grants {
    /// The user of processes with the RA role
    #[arg(long, value_name = "USER", default_value = "tsunagi_ra")]
    ra: String,
    /// The user of processes with the CA role
    #[arg(long, value_name = "USER", default_value = "tsunagi_ca")]
    ca: String,
    /// The user of processes with the status role
    #[arg(long, value_name = "USER", default_value = "tsunagi_status")]
    status: String,
}

pub(crate) fn run(command: &Command, output: Output) -> Result<(), Failure> {
    let Command::Grants(grants) = command;
    let sql = schema::grants::grants_sql(&grants.ra, &grants.ca, &grants.status);
    output.print(&serde_json::json!({ "sql": sql }), |_| sql.clone())
}
