//! `tsunagi store`

#[cfg(feature = "postgres")]
use clap::Args;
use clap::Subcommand;
use schema::Database;
use serde_json::json;

use super::{SettingsArgument, store_copy};
use crate::failure::Failure;
use crate::output::Output;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Bring a store that an older program made up to this program's version
    ///
    /// To be run with every process stopped and a backup made, on PostgreSQL as the owner of the tables. What stops it halfway does no
    /// harm: run it again. Afterwards programs of before refuse the store.
    Upgrade(SettingsArgument),
    Copy(store_copy::Copy),
    /// Print the SQL that gives each role's PostgreSQL user what it needs and nothing more
    ///
    /// To be run by the owner of the tables, after `init` and after each `store upgrade`: the RA's user can then neither write a beacon
    /// nor a certificate, and the status service's user cannot write at all. The users must exist.
    #[cfg(feature = "postgres")]
    Grants(Grants),
}

#[cfg(feature = "postgres")]
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
    match command {
        Command::Upgrade(settings) => upgrade(settings, output),
        Command::Copy(arguments) => store_copy::run(arguments, output),
        #[cfg(feature = "postgres")]
        Command::Grants(grants) => {
            let sql = schema::grants::grants_sql(&grants.ra, &grants.ca, &grants.status);
            output.print(&json!({ "sql": sql }), |_| sql.clone())
        }
    }
}

fn upgrade(settings: &SettingsArgument, output: Output) -> Result<(), Failure> {
    let url = settings.load()?.store_url();
    let migrations = Database::upgrade(&url).map_err(Failure::store)?;
    output.print(&json!({ "migrations": migrations }), |_| match migrations.as_slice() {
        [] => "the store is up to date: nothing was done".to_owned(),
        done if url.starts_with("sqlite://") => format!("done: {}", done.join(", ")),
        done => format!("done: {}. Run the statements of \"tsunagi store grants\" now", done.join(", ")),
    })
}
