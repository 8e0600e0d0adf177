//! What lies in the database, and how an older one becomes today's.

use rusqlite::Connection;

use super::StoreError;

/// Each step brings the schema from the version of its place to the next. Steps are only ever added.
const STEPS: [&str; 8] = [
    include_str!("schema/v1.sql"),
    include_str!("schema/v2.sql"),
    include_str!("schema/v3.sql"),
    include_str!("schema/v4.sql"),
    include_str!("schema/v5.sql"),
    include_str!("schema/v6.sql"),
    include_str!("schema/v7.sql"),
    include_str!("schema/v8.sql"),
];

pub(super) fn upgrade(db: &Connection) -> Result<(), StoreError> {
    let known = i64::try_from(STEPS.len()).unwrap_or(i64::MAX);
    let found: i64 = db.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if found > known {
        return Err(StoreError::Newer { found, known });
    }
    for (step, version) in STEPS.iter().zip(1i64..).skip(usize::try_from(found).unwrap_or(0)) {
        let tx = db.unchecked_transaction()?;
        tx.execute_batch(step)?;
        tx.pragma_update(None, "user_version", version)?;
        tx.commit()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_database_of_each_earlier_schema_becomes_todays() {
        let shape = |db: &Connection| -> Vec<String> {
            let mut tables = db.prepare("SELECT sql FROM sqlite_master WHERE sql NOT NULL ORDER BY name").unwrap();
            tables.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
        };
        let today = Connection::open_in_memory().unwrap();
        upgrade(&today).unwrap();
        for version in 1..STEPS.len() {
            let db = Connection::open_in_memory().unwrap();
            for step in STEPS.iter().take(version) {
                db.execute_batch(step).unwrap();
            }
            db.pragma_update(None, "user_version", i64::try_from(version).unwrap()).unwrap();
            upgrade(&db).unwrap();
            assert_eq!(shape(&db), shape(&today));
        }
    }
}
