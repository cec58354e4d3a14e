//! Backups of the store, made and restored as docs/backup.md says.

use std::path::{Path, PathBuf};

use crate::support::{Installation, run};

/// A backup of an installation's database.
pub(crate) struct Backup {
    file: PathBuf,
}

impl Backup {
    /// Made while everything runs.
    pub(crate) fn of_running(installation: &Installation) -> Self {
        let file = installation.scratch().join("backup");
        drop(std::fs::remove_file(&file));
        let (url, to) = (installation.store_url(), file.display().to_string());
        match url.strip_prefix("sqlite://") {
            Some(path) => drop(run(installation.scratch(), "sqlite3", &[path, &format!(".backup '{to}'")])),
            None => drop(run(installation.scratch(), "pg_dump", &["--format=custom", "--file", &to, "--dbname", &url])),
        }
        Self { file }
    }

    /// Puts it in the place of the store. A SQLite file must not be served meanwhile; PostgreSQL throws everybody out.
    pub(crate) fn restore(&self, installation: &Installation) {
        let url = installation.store_url();
        let from = self.file.display().to_string();
        if let Some(path) = url.strip_prefix("sqlite://") {
            for suffix in ["-wal", "-shm"] {
                drop(std::fs::remove_file(format!("{path}{suffix}")));
            }
            std::fs::copy(&self.file, path).unwrap();
            return;
        }
        let (server, name) = url.rsplit_once('/').unwrap();
        let maintenance = format!("--maintenance-db={server}/postgres");
        run(installation.scratch(), "dropdb", &["--force", &maintenance, name]);
        run(installation.scratch(), "createdb", &[&maintenance, name]);
        run(installation.scratch(), "pg_restore", &["--exit-on-error", "--single-transaction", "--dbname", &url, &from]);
    }
}

/// Copies a directory with everything in it.
pub(crate) fn copy(from: &Path, to: &Path) {
    run(Path::new("/"), "cp", &["-a", from.to_str().unwrap(), to.to_str().unwrap()]);
}
