//! `tsunagi restore reconcile`

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ca_core::chain::Chain;
use ca_core::serial::SerialNumber;
use ca_service::{CaFault, CaRole, NoSteps};
use chrono::Utc;
use crl_publisher::shelf::label;
use indicatif::{ProgressBar, ProgressStyle};
use schema::crl::ListedRevocation;

use super::Reconcile;
use super::lists::{Lists, PublishedList};
use super::log::{FoundLog, NewLog};
use super::report::{ListReport, LogReport, Report};
use crate::failure::Failure;
use crate::high_water::{CRL_NUMBER_GAP, Found, HighWater, Mark};
use crate::installation::Installation;
use crate::output::Output;
use crate::role::{Role, ca_role};

/// How long the lead of one that was killed is waited for: longer than a lead lasts.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two renewals of the lead.
const RENEWAL: Duration = Duration::from_secs(4);

pub(super) fn run(arguments: &Reconcile, output: Output) -> Result<(), Failure> {
    let installation = Installation::open(arguments.settings.load()?)?;
    let state = installation.database.reader().store_state().map_err(Failure::store)?;
    if state.reconciling_since.is_none() && !arguments.dry_run {
        let message = "the store is not waiting to be reconciled: if it was restored and nobody noticed, `tsunagi restore begin` says so";
        return Err(Failure::refused(message).with_code("not_restored"));
    }
    let bar = if output == Output::Text { ProgressBar::new(0) } else { ProgressBar::hidden() };
    let style = ProgressStyle::with_template("{msg:40!} {wide_bar} {pos}/{len} {eta}");
    bar.set_style(style.map_err(|error| Failure::other(error.to_string()))?);
    let lists = Lists::gather(&installation, &arguments.crls, |name| bar.set_message(name.to_owned()))?;
    let mut report = Report { dry_run: arguments.dry_run, epoch: state.epoch, ..Report::default() };
    let renewed = if arguments.new_log { Some(NewLog::of(&installation)?) } else { None };
    let log = if arguments.new_log { None } else { FoundLog::gather(&installation, &arguments.log_tiles)? };
    let objections = objections(&installation, &lists)?;
    match arguments.accept_lists {
        true => report.warnings.extend(objections.into_iter().map(|objection| format!("{objection}; accepted by --accept-lists"))),
        false => report.objections = objections,
    }
    // That more was signed than is there nobody can overrule: the log's key would sign two trees.
    report.objections.extend(log_objection(&installation, log.as_ref(), arguments.accept_log)?);
    for claim in log.iter().flat_map(FoundLog::claims) {
        // Nobody has signed what a witness says: whoever knows that it is wrong can overrule it.
        match arguments.accept_log {
            true => report.warnings.push(format!("log: {claim}; accepted by --accept-log")),
            false => report.objections.push(format!(
                "log: {claim}; give a copy of the tile directory that has them with --log-tiles. If nobody has them any more, let another log go on, \
                 with --new-log; if the witness is wrong, --accept-log goes on without"
            )),
        }
    }
    report.warnings.extend(log.iter().flat_map(FoundLog::unasked).map(|words| format!("log: {words}")));
    report.log = log.as_ref().map(|log| LogReport { stored: log.stored(), published: log.published(), adopted: 0 });
    let role = ca_role(&installation, Vec::new(), Arc::new(NoSteps), None)?;
    let work = Work {
        installation: &installation,
        role: &role,
        lists: &lists,
        log: log.as_ref(),
        renewed: renewed.as_ref(),
        arguments,
        bar: &bar,
    };
    let done = if arguments.dry_run { work.put_back_all(&mut report) } else { work.under_lead(&mut report) };
    bar.finish_and_clear();
    output.print(&report.json(), |_| report.text())?;
    done?;
    if report.objections.is_empty() || arguments.dry_run {
        return Ok(());
    }
    let message = format!("the reconciliation is not ended:\n{}", report.objections.join("\n"));
    Err(Failure::refused(message).with_code("not_reconciled"))
}

struct Work<'a> {
    installation: &'a Installation,
    role: &'a CaRole,
    lists: &'a Lists,
    log: Option<&'a FoundLog>,
    renewed: Option<&'a NewLog>,
    arguments: &'a Reconcile,
    bar: &'a ProgressBar,
}

impl Work<'_> {
    /// Leads, does everything, and stands down, whatever comes of it.
    fn under_lead(&self, report: &mut Report) -> Result<(), Failure> {
        self.take_lead()?;
        let over = AtomicBool::new(false);
        let done = thread::scope(|scope| {
            scope.spawn(|| self.keep_lead(&over));
            let done = self.reconcile(report);
            over.store(true, Ordering::Relaxed);
            done
        });
        self.role.stand_down();
        done
    }

    fn take_lead(&self) -> Result<(), Failure> {
        let began = Instant::now();
        loop {
            if self.role.lead_reconciliation().map_err(failed)? {
                return Ok(());
            }
            if began.elapsed() > PATIENCE {
                return Err(Failure::refused("another process reconciles this store").with_code("led_by_another"));
            }
            self.bar.set_message("waiting for the lead");
            thread::sleep(Duration::from_millis(250));
        }
    }

    fn keep_lead(&self, over: &AtomicBool) {
        let mut renewed = Instant::now();
        while !over.load(Ordering::Relaxed) {
            thread::sleep(Duration::from_millis(50));
            if renewed.elapsed() >= RENEWAL {
                renewed = Instant::now();
                // What is written without the lead is refused, and says so.
                if let Err(fault) = self.role.lead_reconciliation() {
                    tracing::warn!(fault = %Chain(&fault), "the lead could not be renewed");
                }
            }
        }
    }

    fn reconcile(&self, report: &mut Report) -> Result<(), Failure> {
        self.adopt_lost_leaves(report)?;
        for list in &self.lists.lists {
            self.role.open_shard_again(list.scope.ca_key, list.scope.shard).map_err(failed)?;
        }
        self.put_back_all(report)?;
        if report.objections.is_empty() {
            report.instructions = self.role.decide_waiting_instructions().map_err(failed)? as u64;
            self.raise_numbers(report)?;
            report.reconciled = self.role.end_reconciliation().map_err(failed)?;
        }
        Ok(())
    }

    /// First of all: from then on, events may follow in the log.
    fn adopt_lost_leaves(&self, report: &mut Report) -> Result<(), Failure> {
        if let Some(renewed) = self.renewed {
            self.role.renew_log(renewed.identity.clone(), renewed.note.clone()).map_err(failed)?;
            report.warnings.push(format!("the former log has ended; what goes on is called {}", renewed.identity.origin));
        }
        let (Some(log), Some(told)) = (self.log, &mut report.log) else { return Ok(()) };
        self.bar.set_message("the log's lost leaves");
        told.adopted = log.adopt(|lost| self.role.adopt_lost_leaves(lost).map_err(failed))?;
        Ok(())
    }

    /// First what is permanent, then what the cards tell, then the holds: see [`ca_service`]'s reconciliation.
    fn put_back_all(&self, report: &mut Report) -> Result<(), Failure> {
        let dry = self.arguments.dry_run;
        report.lists = self.lists.lists.iter().map(ListReport::of).collect();
        self.bar.set_length(self.lists.lists.iter().map(|list| if list.is_newest { 2 * list.entries } else { list.entries }).sum());
        for (list, told) in self.lists.lists.iter().zip(&mut report.lists) {
            self.bar.set_message(format!("{} {}: revocations", list.scope.label, list.number));
            self.put_back(list, told, |entry| entry.revocation.reason.is_permanent())?;
        }
        if !report.objections.is_empty() && !dry {
            // What the missing lists told comes first: its dates are those that relying parties know.
            return Ok(());
        }
        if self.arguments.without_card_feed {
            report
                .warnings
                .push("feed, card CRLs and comparison were left out: what happened to cards since the backup is not known yet".to_owned());
        } else if !dry {
            let heard = self.role.hear_of_cards_again(|what, count| self.bar.set_message(format!("{what}: {count}")));
            report.cards = Some(heard.map_err(|fault| {
                let why = Failure::unreachable(format!("the cards could not be heard of again: {}", Chain(&fault)));
                why.and("Nothing that was put back is lost; run it again. In an emergency --without-card-feed goes on without")
                    .with_code("cards_unheard")
            })?);
        }
        for (list, told) in self.lists.lists.iter().zip(&mut report.lists) {
            self.bar.set_message(format!("{} {}: holds", list.scope.label, list.number));
            if list.is_newest {
                let mut held = self.held(list)?;
                self.forget_listed(list, &mut held)?;
                self.put_back(list, told, |entry| !entry.revocation.reason.is_permanent())?;
                report.held_unlisted.extend(held.into_iter().map(|serial| (list.scope.label.clone(), serial.to_string())));
            } else {
                told.holds_left = told.entries() - told.came.total();
            }
        }
        report.held_unlisted.sort();
        Ok(())
    }

    fn put_back(&self, list: &PublishedList, told: &mut ListReport, wants: impl Fn(&ListedRevocation) -> bool) -> Result<(), Failure> {
        let put_back = |some: &[ListedRevocation]| {
            told.came += self.role.put_back(list.scope.ca_key, list.scope.shard, some, self.arguments.dry_run).map_err(failed)?;
            Ok(())
        };
        list.walk(wants, put_back, |passed| self.bar.inc(passed))
    }

    /// The certificates of a list's scope that are on hold in the store and known there, if the list is later than the store's own: one
    /// that the store has says nothing new.
    fn held(&self, list: &PublishedList) -> Result<HashSet<SerialNumber>, Failure> {
        let reader = self.installation.database.reader();
        let own = reader.latest_crl_in(list.scope.ca_key, list.scope.shard).map_err(Failure::store)?;
        let mut held = HashSet::new();
        if own.is_some_and(|own| own.number >= list.number) {
            return Ok(held);
        }
        let (now, mut after) = (Utc::now(), None);
        loop {
            let page = reader.revoked_in_scope(list.scope.ca_key, list.scope.shard, now, after.as_ref(), 10_000, |entry| {
                if !entry.revocation.reason.is_permanent() {
                    held.insert(entry.serial.clone());
                }
            });
            after = page.map_err(Failure::store)?;
            if after.is_none() {
                return Ok(held);
            }
        }
    }

    fn forget_listed(&self, list: &PublishedList, held: &mut HashSet<SerialNumber>) -> Result<(), Failure> {
        if held.is_empty() {
            return Ok(());
        }
        let forget = |some: &[ListedRevocation]| {
            for entry in some {
                held.remove(&entry.serial);
            }
            Ok(())
        };
        list.walk(|_| true, forget, |_| {})
    }

    /// No list is published with a number that was published before.
    fn raise_numbers(&self, report: &mut Report) -> Result<(), Failure> {
        for list in self.lists.lists.iter().filter(|list| list.is_newest) {
            let above = list.number.saturating_add(CRL_NUMBER_GAP);
            self.role.raise_crl_number(list.scope.ca_key, above).map_err(failed)?;
        }
        let numbers = self.installation.database.reader().last_crl_numbers().map_err(Failure::store)?;
        let of = |ca_key| self.installation.ca_keys.iter().find(|key| key.id() == ca_key).map(|key| key.label());
        report.crl_numbers = numbers.into_iter().filter_map(|(ca_key, number)| Some((of(ca_key)?, number))).collect();
        Ok(())
    }
}

/// What speaks against taking the lists that were found for the last that were published.
fn objections(installation: &Installation, lists: &Lists) -> Result<Vec<String>, Failure> {
    let reader = installation.database.reader();
    let published = published_before(installation)?;
    let mut scopes: BTreeMap<String, u64> = BTreeMap::new();
    for scope in reader.crl_scopes().map_err(Failure::store)? {
        let Some(ca_key) = installation.ca_keys.iter().find(|key| key.id() == scope.ca_key) else { continue };
        let own = reader.latest_crl_in(scope.ca_key, scope.shard).map_err(Failure::store)?;
        scopes.insert(label(ca_key, scope.shard), own.map_or(0, |own| own.number));
    }
    let own = scopes.clone();
    for (label, number) in published.iter().flat_map(|mark| &mark.crl_numbers) {
        let known = scopes.entry(label.clone()).or_default();
        *known = (*known).max(*number);
    }
    let newest = lists.newest();
    let mut objections = Vec::new();
    for (label, number) in scopes {
        match newest.get(label.as_str()) {
            None if number > 0 => {
                objections.push(format!("{label}: number {number} was published, and no list was found; give it with --crl"))
            }
            None => {}
            Some(list) if list.number < number => {
                objections.push(format!(
                    "{label}: number {number} was published, and the newest list found is {}; give it with --crl",
                    list.number
                ));
            }
            Some(list) if published.is_none() => {
                let own = own.get(&label).copied().unwrap_or(0);
                let past = list.next_update < Utc::now();
                if list.number <= own {
                    objections.push(format!(
                        "{label}: no list later than the store's own, number {own}, was found, and nothing tells whether there was one"
                    ));
                } else if past {
                    objections.push(format!(
                        "{label}: the newest list found, number {}, is past its nextUpdate: there may be a later one",
                        list.number
                    ));
                }
            }
            Some(_) => {}
        }
    }
    Ok(objections)
}

/// What speaks against going on with the log: that more of it was signed than was found, or may have been.
fn log_objection(installation: &Installation, log: Option<&FoundLog>, is_accepted: bool) -> Result<Option<String>, Failure> {
    let Some(log) = log else { return Ok(None) };
    let signed =
        published_before(installation)?.and_then(|mark| mark.log).filter(|signed| log.is_called(&signed.origin)).map(|log| log.size);
    let is_later = log.published().is_some_and(|published| published > log.stored());
    Ok(match signed {
        Some(signed) if signed > log.size() => Some(format!(
            "log: {signed} leaves were signed, and {} were found; give a copy of the tile directory with --log-tiles",
            log.size()
        )),
        None if !is_later && !is_accepted && log.stored() > 0 => Some(format!(
            "log: no tree larger than the store's own, of {} leaves, was found, and nothing tells whether there was one; give a copy of the \
             tile directory with --log-tiles, or say with --accept-log that there was none",
            log.stored()
        )),
        _ => None,
    })
}

/// What had been reached before the epoch that is not reconciled, if any high-water file tells.
fn published_before(installation: &Installation) -> Result<Option<Mark>, Failure> {
    let store = Mark::of_store(&installation.database.reader(), Utc::now()).map_err(Failure::store)?;
    let files = installation.high_water_files(&[Role::Ca]);
    let of = |found: HighWater| match found.mark.epoch < store.epoch && found.mark.is_beyond(&store) {
        true => Some(found.mark),
        false => found.before,
    };
    let marks = files.look().into_iter().filter_map(|(_, found)| match found {
        Found::Sound(found) => of(found),
        _ => None,
    });
    Ok(marks.reduce(Mark::highest))
}

fn failed(fault: CaFault) -> Failure {
    match fault {
        CaFault::Store(fault) => Failure::store(fault),
        CaFault::Fenced => {
            Failure::refused("another process has taken the lead, or the store is reconciled meanwhile").with_code("led_by_another")
        }
        other => Failure::other(Chain(&other).to_string()),
    }
}
