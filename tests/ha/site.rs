//! A site with two hosts: a Client, storages and sdgroup that both Directors use, and a catalog that is replicated.

use crate::host::{self, CATALOG_PASSWORD, Host};
use crate::lab::catalog::Catalog;
use crate::lab::packages::Root;
use crate::lab::ports::Port;
use crate::lab::resources::DIRECTOR;
use crate::lab::{Lab, Plan, wait};
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

const CATALOG_WITHIN: Duration = Duration::from_secs(30);

/// The hosts go first: their programs lie in the lab's folder.
pub(crate) struct Site {
    pub(crate) hosts: [Host; 2],
    pub(crate) lab: Lab,
    pub(crate) root: Root,
    port: Port,
}

impl Site {
    /// The first host active, the second its standby, both made by the recipes.
    pub(crate) fn start(plan: Plan, synchronous: bool) -> Self {
        let root = Root::with_postgres().unwrap_or_else(|error| panic!("{error}"));
        let port = Port::choose_everywhere();
        let hosts = Host::pair(plan.folder(), port.number(), &root);
        let [first, second] = &hosts;
        first.server.create();
        first.server.start();
        make_catalog(first, root.catalog_schema());
        first.recipe("catalog/prepare-primary", &[]).must_be_ok();
        second.recipe("catalog/make-standby", &[]).must_be_ok();
        if synchronous {
            first.recipe("catalog/synchronous", &["on"]).must_be_ok();
        }

        let mut lab = plan.start(crate::SDGROUP);
        lab.director().stop();
        let conf = lab.folder().join("dir/bacula-dir.conf");
        let text = with_catalog(
            &fs::read_to_string(conf).expect("bacula-dir.conf"),
            lab.folder(),
            port.number(),
        );
        fs::create_dir_all(first.director_conf()).expect("the Director's configuration");
        fs::write(first.director_conf().join("bacula-dir.conf"), text).expect("bacula-dir.conf");
        second.recipe("director/pull-config", &[]).must_be_ok();
        first.program("start-director").must_be_ok();

        let servers = hosts.each_ref().map(|host| host.server.reader());
        lab.keep_catalog(Catalog::answered_by(move |select| {
            let answer = || {
                servers
                    .iter()
                    .find_map(|server| server.rows_if_primary("bacula", select))
            };
            wait::until("an answer from the catalog", CATALOG_WITHIN, answer)
        }));
        Self { hosts, lab, root, port }
    }

    /// Both servers' port.
    pub(crate) fn port(&self) -> u16 {
        self.port.number()
    }
}

/// Prints a row of the table in `deploy/ha/README.md`.
pub(crate) fn measured(what: &str, since: Instant) {
    println!("measured: {what}: {:.1} s", since.elapsed().as_secs_f64());
}

fn make_catalog(host: &Host, schema: &Path) {
    let must = |database: &str, statement: &str| {
        host.server
            .ask(database, statement)
            .unwrap_or_else(|| panic!("refused: {statement}"));
    };
    must(
        "postgres",
        &format!("CREATE ROLE bacula LOGIN PASSWORD '{CATALOG_PASSWORD}'"),
    );
    must(
        "postgres",
        "CREATE DATABASE bacula OWNER bacula ENCODING 'SQL_ASCII' TEMPLATE template0",
    );
    let schema = fs::read_to_string(schema).expect("the catalog's schema");
    must("bacula", &format!("SET ROLE bacula; {schema}"));
}

/// The lab's own configuration with the hosts' catalog, and the working directory of whichever host it is on.
fn with_catalog(text: &str, folder: &Path, port: u16) -> String {
    let work = folder.join("dir").display().to_string();
    let catalog = format!(
        "dbaddress = \"{}\"\n  dbport = {port}\n  dbsslmode = require\n  dbpassword = \"{CATALOG_PASSWORD}\"",
        host::addresses()
    );
    assert!(text.contains(DIRECTOR) && text.contains("dbpassword = \"\""), "{text}");
    text.replace("dbpassword = \"\"", &catalog)
        .replace(&format!("Directory = \"{work}\""), "Directory = \"/proc/self/cwd\"")
}
