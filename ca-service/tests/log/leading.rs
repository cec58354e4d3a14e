//! One leader appends and signs; whoever is none is refused by the store itself.

use ca_service::LogFault;
use schema::{StoreFault, on_each_database};

use crate::stage::{Stage, events, keep, lead};

on_each_database! {
    fn whoever_has_lost_the_lead_neither_appends_nor_signs(store) {
        let stage = Stage::new();
        stage.begin(store);
        let (one, other) = (store.open_again(), store.open_again());
        let (former, first) = (stage.keeper(&one), lead(&one, "former", 0));
        keep(&former, &first);
        events(&one, 5);
        former.sequence(&first).unwrap();
        // It does not know that its lease has run out.
        let (next, second) = (stage.keeper(&other), lead(&other, "next", 1));
        events(&one, 5);
        assert!(matches!(former.sequence(&first), Err(LogFault::Store(StoreFault::Fenced(_)))));
        assert!(matches!(former.sequence(&first), Err(LogFault::Store(StoreFault::Fenced(_)))), "and again, having looked anew");
        assert!(matches!(former.sign(&first), Err(LogFault::Store(StoreFault::Fenced(_)))));
        let head = store.reader().log_head().unwrap();
        assert_eq!((head.size, head.note.unwrap().size), (6, 1));
        keep(&next, &second);
        stage.judge(&store.reader());
        // What it would publish is older than what is published.
        assert!(!former.publish(&first).unwrap());
        stage.judge(&store.reader());
    }

    fn what_was_made_upon_another_tree_is_refused(store) {
        let stage = Stage::new();
        stage.begin(store);
        let database = store.open_again();
        let lease = lead(store.database(), "both", 0);
        let (one, other) = (stage.keeper(store.database()), stage.keeper(&database));
        keep(&one, &lease);
        other.sequence(&lease).unwrap();
        events(store.database(), 10);
        assert_eq!(one.sequence(&lease).unwrap(), 10);
        // Two processes with one lease cannot be, but by a fault; and the other has looked before the first appended.
        events(store.database(), 1);
        assert!(matches!(other.sequence(&lease), Err(LogFault::Store(StoreFault::Misuse(_)))));
        assert_eq!(other.sequence(&lease).unwrap(), 1, "after another look it goes on from what is there");
        keep(&other, &lease);
        stage.judge(&store.reader());
    }
}
