//! Tables that are there for what was done to them.

use anyhow::Result;
use datafusion::logical_expr::{col, lit};
use lakeward_catalog::writer::MergeClause;

use super::table::{Lake, Table, named, numbered, schema};

pub(super) async fn write(lake: &Lake) -> Result<()> {
    appended(lake).await?;
    overwritten(lake).await?;
    deleted_and_updated(lake).await?;
    merged(lake).await?;
    optimised(lake).await?;
    vacuumed(lake).await?;
    checkpointed(lake).await?;
    cleaned(lake).await?;
    change_feed(lake).await?;
    empty(lake).await?;
    emptied(lake).await
}

async fn appended(lake: &Lake) -> Result<()> {
    let mut table = lake.create("appended", &schema(), &[], &[]).await?;
    for start in [0, 10, 20] {
        table.append(numbered(start..start + 10)?).await?;
    }
    // Only some of the columns, in another order.
    table.append(numbered(30..35)?.project(&[2, 0])?).await
}

async fn overwritten(lake: &Lake) -> Result<()> {
    let mut table = lake.create("overwritten", &schema(), &["k"], &[]).await?;
    table.append(numbered(0..30)?).await?;
    table.overwrite(numbered(100..110)?).await?;
    table.append(numbered(110..115)?).await?;
    table.overwrite(numbered(200..201)?).await
}

async fn deleted_and_updated(lake: &Lake) -> Result<()> {
    let mut table = lake.create("deleted_and_updated", &schema(), &["k"], &[]).await?;
    table.append(numbered(0..60)?).await?;
    table.delete(Some((col("id") % lit(10_i64)).eq(lit(3_i64)))).await?;
    table.update(col("id").gt(lit(30_i64)), vec![("v", col("v") + lit(1_i64))]).await?;
    // Rows move to another partition, and out of every.
    table.update(col("id").lt(lit(4_i64)), vec![("k", lit("moved here"))]).await?;
    table
        .update(col("id").eq(lit(4_i64)), vec![("k", lit(datafusion::scalar::ScalarValue::Utf8(None)))])
        .await?;
    table.delete(Some(col("k").is_null().and(col("id").gt(lit(40_i64))))).await?;
    table.delete(Some(col("k").eq(lit("k 1/é%")))).await
}

async fn merged(lake: &Lake) -> Result<()> {
    let mut table = lake.create("merged", &schema(), &["k"], &[]).await?;
    table.append(numbered(0..40)?).await?;
    let inserted = ["id", "v", "k"].map(|column| (column, col(format!("source.{column}")))).to_vec();
    let upsert = vec![
        MergeClause::MatchedDelete { condition: Some(col("target.id").lt(lit(25_i64))) },
        MergeClause::MatchedUpdate {
            condition: None,
            set: named(vec![("v", col("source.v") * lit(2_i64)), ("k", lit("merged"))]),
        },
        MergeClause::NotMatchedInsert { condition: None, values: named(inserted) },
    ];
    table.merge(numbered(20..50)?, col("source.id").eq(col("target.id")), upsert).await?;
    let rest = vec![
        MergeClause::NotMatchedBySourceDelete { condition: Some(col("target.k").is_null()) },
        MergeClause::NotMatchedBySourceUpdate { condition: None, set: named(vec![("v", lit(-1_i64))]) },
    ];
    table.merge(numbered(30..60)?, col("source.id").eq(col("target.id")), rest).await
}

async fn optimised(lake: &Lake) -> Result<()> {
    let mut table = lake.create("optimised", &schema(), &["k"], &[]).await?;
    for start in (0..60).step_by(10) {
        table.append(numbered(start..start + 10)?).await?;
    }
    table.optimise().await?;
    table.append(numbered(60..65)?).await?;
    table.delete(Some(col("id").lt(lit(5_i64)))).await?;
    table.optimise().await
}

async fn vacuumed(lake: &Lake) -> Result<()> {
    let properties = [("delta.deletedFileRetentionDuration", "interval 0 seconds")];
    let mut table = lake.create("vacuumed", &schema(), &["k"], &properties).await?;
    for start in [0, 10, 20] {
        table.append(numbered(start..start + 10)?).await?;
    }
    table.optimise().await?;
    table.delete(Some(col("id").gt(lit(25_i64)))).await?;
    table.vacuum().await?;
    table.append(numbered(30..40)?).await
}

/// Many versions of every kind, each behind the last checkpoint or in front of it.
async fn many_versions(table: &mut Table) -> Result<()> {
    for start in (0..200).step_by(20) {
        table.append(numbered(start..start + 20)?).await?;
        table.delete(Some(col("id").eq(lit(start + 3)))).await?;
        table.update(col("id").eq(lit(start + 4)), vec![("v", lit(-start))]).await?;
    }
    table.optimise().await
}

async fn checkpointed(lake: &Lake) -> Result<()> {
    let properties = [("delta.checkpointInterval", "7"), ("delta.enableExpiredLogCleanup", "false")];
    let mut table = lake.create("checkpointed", &schema(), &["k"], &properties).await?;
    many_versions(&mut table).await?;
    table.checkpoint().await?;
    table.append(numbered(200..210)?).await
}

async fn cleaned(lake: &Lake) -> Result<()> {
    let properties = [
        ("delta.logRetentionDuration", "interval 0 seconds"),
        ("delta.deletedFileRetentionDuration", "interval 0 seconds"),
        ("delta.enableExpiredLogCleanup", "false"),
    ];
    let mut table = lake.create("cleaned", &schema(), &["k"], &properties).await?;
    many_versions(&mut table).await?;
    table.vacuum().await?;
    table.checkpoint().await?;
    table.clean_log().await?;
    table.append(numbered(200..210)?).await
}

async fn change_feed(lake: &Lake) -> Result<()> {
    let properties = [("delta.enableChangeDataFeed", "true")];
    let mut table = lake.create("change_feed", &schema(), &["k"], &properties).await?;
    table.append(numbered(0..20)?).await?;
    table.delete(Some(col("id").lt(lit(5_i64)))).await?;
    table.append(numbered(20..25)?).await?;
    table.delete(Some(col("v").is_null())).await
}

async fn empty(lake: &Lake) -> Result<()> {
    lake.create("empty", &schema(), &["k"], &[]).await?;
    Ok(())
}

async fn emptied(lake: &Lake) -> Result<()> {
    let mut table = lake.create("emptied", &schema(), &[], &[]).await?;
    table.append(numbered(0..20)?).await?;
    table.delete(None).await?;
    table.append(numbered(20..25)?).await?;
    table.overwrite(numbered(0..0)?).await
}
