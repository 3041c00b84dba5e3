-- Written by `python -m flowrun.tracking.sql.upgrade` from the migrations.
-- A new store is made from this text, which needs no import of Alembic.
CREATE TABLE alembic_version (
    version_num VARCHAR(32) NOT NULL,
    CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
CREATE TABLE experiments (
    experiment_id SERIAL NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    artifact_location TEXT COLLATE "C" NOT NULL,
    lifecycle_stage TEXT COLLATE "C" NOT NULL,
    creation_time_ms BIGINT NOT NULL,
    last_update_time_ms BIGINT NOT NULL,
    PRIMARY KEY (experiment_id),
    UNIQUE (name)
);
CREATE TABLE model_version_transitions (
    transition_pk SERIAL NOT NULL,
    registered_model_pk INTEGER NOT NULL,
    version INTEGER NOT NULL,
    time_ms BIGINT NOT NULL,
    user_id TEXT COLLATE "C" NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    alias TEXT COLLATE "C" NOT NULL,
    before TEXT COLLATE "C" NOT NULL,
    after TEXT COLLATE "C" NOT NULL,
    reason TEXT COLLATE "C" NOT NULL,
    run_id TEXT COLLATE "C",
    PRIMARY KEY (transition_pk)
);
CREATE INDEX transitions_by_model ON model_version_transitions (registered_model_pk, version);
CREATE TABLE registered_models (
    registered_model_pk SERIAL NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    creation_time_ms BIGINT NOT NULL,
    last_update_time_ms BIGINT NOT NULL,
    description TEXT COLLATE "C" NOT NULL,
    last_version INTEGER NOT NULL,
    PRIMARY KEY (registered_model_pk),
    UNIQUE (name)
);
CREATE TABLE datasets (
    dataset_pk SERIAL NOT NULL,
    experiment_id INTEGER NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    digest TEXT COLLATE "C" NOT NULL,
    source_type TEXT COLLATE "C" NOT NULL,
    source TEXT COLLATE "C" NOT NULL,
    dataset_schema TEXT COLLATE "C",
    dataset_profile TEXT COLLATE "C",
    PRIMARY KEY (dataset_pk),
    FOREIGN KEY(experiment_id) REFERENCES experiments (experiment_id)
);
CREATE UNIQUE INDEX datasets_by_name ON datasets (experiment_id, name, digest);
CREATE TABLE experiment_tags (
    experiment_id INTEGER NOT NULL,
    key TEXT COLLATE "C" NOT NULL,
    value TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (experiment_id, key),
    FOREIGN KEY(experiment_id) REFERENCES experiments (experiment_id)
);
CREATE TABLE logged_models (
    model_id TEXT COLLATE "C" NOT NULL,
    experiment_id INTEGER NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    artifact_uri TEXT COLLATE "C" NOT NULL,
    creation_time_ms BIGINT NOT NULL,
    last_update_time_ms BIGINT NOT NULL,
    status TEXT COLLATE "C" NOT NULL,
    model_type TEXT COLLATE "C",
    source_run_id TEXT COLLATE "C",
    lifecycle_stage TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (model_id),
    FOREIGN KEY(experiment_id) REFERENCES experiments (experiment_id)
);
CREATE INDEX logged_models_by_creation ON logged_models (experiment_id, lifecycle_stage, creation_time_ms);
CREATE INDEX logged_models_by_run ON logged_models (source_run_id);
CREATE TABLE model_versions (
    registered_model_pk INTEGER NOT NULL,
    version INTEGER NOT NULL,
    creation_time_ms BIGINT NOT NULL,
    last_update_time_ms BIGINT NOT NULL,
    description TEXT COLLATE "C" NOT NULL,
    user_id TEXT COLLATE "C",
    stage TEXT COLLATE "C" NOT NULL,
    status TEXT COLLATE "C" NOT NULL,
    source TEXT COLLATE "C" NOT NULL,
    download_uri TEXT COLLATE "C" NOT NULL,
    run_id TEXT COLLATE "C",
    run_link TEXT COLLATE "C",
    model_id TEXT COLLATE "C",
    PRIMARY KEY (registered_model_pk, version),
    FOREIGN KEY(registered_model_pk) REFERENCES registered_models (registered_model_pk) ON DELETE CASCADE
);
CREATE INDEX model_versions_by_run ON model_versions (run_id);
CREATE INDEX model_versions_by_update ON model_versions (last_update_time_ms);
CREATE TABLE registered_model_tags (
    registered_model_pk INTEGER NOT NULL,
    key TEXT COLLATE "C" NOT NULL,
    value TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (registered_model_pk, key),
    FOREIGN KEY(registered_model_pk) REFERENCES registered_models (registered_model_pk) ON DELETE CASCADE
);
CREATE TABLE runs (
    run_pk SERIAL NOT NULL,
    run_id TEXT COLLATE "C" NOT NULL,
    experiment_id INTEGER NOT NULL,
    run_name TEXT COLLATE "C" NOT NULL,
    user_id TEXT COLLATE "C" NOT NULL,
    status TEXT COLLATE "C" NOT NULL,
    start_time_ms BIGINT NOT NULL,
    end_time_ms BIGINT,
    artifact_uri TEXT COLLATE "C" NOT NULL,
    lifecycle_stage TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (run_pk),
    FOREIGN KEY(experiment_id) REFERENCES experiments (experiment_id),
    UNIQUE (run_id)
);
CREATE INDEX runs_by_start ON runs (experiment_id, lifecycle_stage, start_time_ms);
CREATE TABLE latest_metrics (
    run_pk INTEGER NOT NULL,
    key TEXT COLLATE "C" NOT NULL,
    value DOUBLE PRECISION NOT NULL,
    timestamp_ms BIGINT NOT NULL,
    step BIGINT NOT NULL,
    is_nan INTEGER NOT NULL,
    PRIMARY KEY (run_pk, key),
    FOREIGN KEY(run_pk) REFERENCES runs (run_pk) ON DELETE CASCADE
);
CREATE INDEX latest_metrics_by_value ON latest_metrics (key, value, is_nan);
CREATE TABLE logged_model_metrics (
    model_id TEXT COLLATE "C" NOT NULL,
    key TEXT COLLATE "C" NOT NULL,
    timestamp_ms BIGINT NOT NULL,
    step BIGINT NOT NULL,
    run_id TEXT COLLATE "C" NOT NULL,
    value DOUBLE PRECISION NOT NULL,
    is_nan INTEGER NOT NULL,
    dataset_name TEXT COLLATE "C",
    dataset_digest TEXT COLLATE "C",
    PRIMARY KEY (model_id, key, timestamp_ms, step, run_id),
    FOREIGN KEY(model_id) REFERENCES logged_models (model_id) ON DELETE CASCADE
);
CREATE INDEX logged_model_metrics_by_value ON logged_model_metrics (key, value);
CREATE TABLE logged_model_params (
    model_id TEXT COLLATE "C" NOT NULL,
    key TEXT COLLATE "C" NOT NULL,
    value TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (model_id, key),
    FOREIGN KEY(model_id) REFERENCES logged_models (model_id) ON DELETE CASCADE
);
CREATE TABLE logged_model_tags (
    model_id TEXT COLLATE "C" NOT NULL,
    key TEXT COLLATE "C" NOT NULL,
    value TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (model_id, key),
    FOREIGN KEY(model_id) REFERENCES logged_models (model_id) ON DELETE CASCADE
);
CREATE TABLE metrics (
    run_pk INTEGER NOT NULL,
    key TEXT COLLATE "C" NOT NULL,
    timestamp_ms BIGINT NOT NULL,
    step BIGINT NOT NULL,
    value DOUBLE PRECISION NOT NULL,
    is_nan INTEGER NOT NULL,
    PRIMARY KEY (run_pk, key, timestamp_ms, step, value, is_nan),
    FOREIGN KEY(run_pk) REFERENCES runs (run_pk) ON DELETE CASCADE
);
CREATE TABLE model_version_tags (
    registered_model_pk INTEGER NOT NULL,
    version INTEGER NOT NULL,
    key TEXT COLLATE "C" NOT NULL,
    value TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (registered_model_pk, version, key),
    FOREIGN KEY(registered_model_pk, version) REFERENCES model_versions (registered_model_pk, version) ON DELETE CASCADE
);
CREATE TABLE params (
    run_pk INTEGER NOT NULL,
    key TEXT COLLATE "C" NOT NULL,
    value TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (run_pk, key),
    FOREIGN KEY(run_pk) REFERENCES runs (run_pk) ON DELETE CASCADE
);
CREATE INDEX params_by_value ON params (key, value) WHERE length(value) <= 100;
CREATE TABLE registered_model_aliases (
    registered_model_pk INTEGER NOT NULL,
    alias TEXT COLLATE "C" NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (registered_model_pk, alias),
    FOREIGN KEY(registered_model_pk, version) REFERENCES model_versions (registered_model_pk, version) ON DELETE CASCADE
);
CREATE TABLE run_dataset_tags (
    run_pk INTEGER NOT NULL,
    dataset_pk INTEGER NOT NULL,
    key TEXT COLLATE "C" NOT NULL,
    value TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (run_pk, dataset_pk, key),
    FOREIGN KEY(dataset_pk) REFERENCES datasets (dataset_pk),
    FOREIGN KEY(run_pk) REFERENCES runs (run_pk) ON DELETE CASCADE
);
CREATE TABLE run_datasets (
    run_pk INTEGER NOT NULL,
    dataset_pk INTEGER NOT NULL,
    PRIMARY KEY (run_pk, dataset_pk),
    FOREIGN KEY(dataset_pk) REFERENCES datasets (dataset_pk),
    FOREIGN KEY(run_pk) REFERENCES runs (run_pk) ON DELETE CASCADE
);
CREATE TABLE run_models (
    run_pk INTEGER NOT NULL,
    direction TEXT COLLATE "C" NOT NULL,
    model_id TEXT COLLATE "C" NOT NULL,
    step BIGINT NOT NULL,
    PRIMARY KEY (run_pk, direction, model_id, step),
    FOREIGN KEY(run_pk) REFERENCES runs (run_pk) ON DELETE CASCADE
);
CREATE TABLE tags (
    run_pk INTEGER NOT NULL,
    key TEXT COLLATE "C" NOT NULL,
    value TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (run_pk, key),
    FOREIGN KEY(run_pk) REFERENCES runs (run_pk) ON DELETE CASCADE
);
CREATE INDEX tags_by_value ON tags (key, value) WHERE length(value) <= 100;
INSERT INTO alembic_version (version_num) VALUES ('0001') RETURNING alembic_version.version_num;
CREATE TABLE webhooks (
    webhook_id TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    url TEXT COLLATE "C" NOT NULL,
    creation_time_ms BIGINT NOT NULL,
    last_update_time_ms BIGINT NOT NULL,
    description TEXT COLLATE "C" NOT NULL,
    status TEXT COLLATE "C" NOT NULL,
    sealed_secret TEXT COLLATE "C",
    PRIMARY KEY (webhook_id)
);
CREATE TABLE webhook_events (
    webhook_id TEXT COLLATE "C" NOT NULL,
    event TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (webhook_id, event),
    FOREIGN KEY(webhook_id) REFERENCES webhooks (webhook_id) ON DELETE CASCADE
);
CREATE TABLE webhook_deliveries (
    delivery_pk SERIAL NOT NULL,
    webhook_id TEXT COLLATE "C" NOT NULL,
    event TEXT COLLATE "C" NOT NULL,
    data TEXT COLLATE "C" NOT NULL,
    time_ms BIGINT NOT NULL,
    attempts INTEGER NOT NULL,
    next_time_ms BIGINT NOT NULL,
    PRIMARY KEY (delivery_pk),
    FOREIGN KEY(webhook_id) REFERENCES webhooks (webhook_id) ON DELETE CASCADE
);
CREATE INDEX webhook_deliveries_by_time ON webhook_deliveries (webhook_id, next_time_ms);
UPDATE alembic_version SET version_num='0002' WHERE alembic_version.version_num = '0001';
CREATE TABLE traces (
    trace_pk SERIAL NOT NULL,
    trace_id TEXT COLLATE "C" NOT NULL,
    experiment_id INTEGER NOT NULL,
    timestamp_ms BIGINT NOT NULL,
    execution_time_ms BIGINT,
    status TEXT COLLATE "C" NOT NULL,
    client_request_id TEXT COLLATE "C",
    request_preview TEXT COLLATE "C",
    response_preview TEXT COLLATE "C",
    is_told INTEGER NOT NULL,
    PRIMARY KEY (trace_pk),
    FOREIGN KEY(experiment_id) REFERENCES experiments (experiment_id),
    UNIQUE (trace_id)
);
CREATE INDEX traces_by_client ON traces (client_request_id);
CREATE INDEX traces_by_status ON traces (experiment_id, status, timestamp_ms);
CREATE INDEX traces_by_time ON traces (experiment_id, timestamp_ms);
CREATE TABLE assessments (
    trace_pk INTEGER NOT NULL,
    assessment_id TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    value TEXT COLLATE "C" NOT NULL,
    number DOUBLE PRECISION,
    error TEXT COLLATE "C",
    span_id TEXT COLLATE "C",
    source_type TEXT COLLATE "C" NOT NULL,
    source_id TEXT COLLATE "C" NOT NULL,
    rationale TEXT COLLATE "C",
    assessment_metadata TEXT COLLATE "C" NOT NULL,
    overrides TEXT COLLATE "C",
    is_valid INTEGER NOT NULL,
    create_time_ms BIGINT NOT NULL,
    last_update_time_ms BIGINT NOT NULL,
    PRIMARY KEY (trace_pk, assessment_id),
    FOREIGN KEY(trace_pk) REFERENCES traces (trace_pk) ON DELETE CASCADE
);
CREATE INDEX assessments_by_name ON assessments (kind, name);
CREATE TABLE spans (
    span_pk SERIAL NOT NULL,
    trace_pk INTEGER NOT NULL,
    span_id TEXT COLLATE "C" NOT NULL,
    parent_id TEXT COLLATE "C",
    name TEXT COLLATE "C" NOT NULL,
    type TEXT COLLATE "C",
    status TEXT COLLATE "C" NOT NULL,
    start_time_ns BIGINT NOT NULL,
    end_time_ns BIGINT,
    token_usage TEXT COLLATE "C",
    cost TEXT COLLATE "C",
    content TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (span_pk),
    FOREIGN KEY(trace_pk) REFERENCES traces (trace_pk) ON DELETE CASCADE
);
CREATE INDEX spans_by_name ON spans (name, trace_pk);
CREATE UNIQUE INDEX spans_by_trace ON spans (trace_pk, span_id);
CREATE INDEX spans_by_type ON spans (type, trace_pk);
CREATE TABLE trace_metadata (
    trace_pk INTEGER NOT NULL,
    key TEXT COLLATE "C" NOT NULL,
    value TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (trace_pk, key),
    FOREIGN KEY(trace_pk) REFERENCES traces (trace_pk) ON DELETE CASCADE
);
CREATE INDEX trace_metadata_by_value ON trace_metadata (key, value) WHERE length(value) <= 100;
CREATE TABLE trace_prompts (
    trace_pk INTEGER NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    version TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (trace_pk, name, version),
    FOREIGN KEY(trace_pk) REFERENCES traces (trace_pk) ON DELETE CASCADE
);
CREATE INDEX trace_prompts_by_name ON trace_prompts (name, version);
CREATE TABLE trace_runs (
    trace_pk INTEGER NOT NULL,
    run_id TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (trace_pk, run_id),
    FOREIGN KEY(trace_pk) REFERENCES traces (trace_pk) ON DELETE CASCADE
);
CREATE INDEX trace_runs_by_run ON trace_runs (run_id);
CREATE TABLE trace_tags (
    trace_pk INTEGER NOT NULL,
    key TEXT COLLATE "C" NOT NULL,
    value TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (trace_pk, key),
    FOREIGN KEY(trace_pk) REFERENCES traces (trace_pk) ON DELETE CASCADE
);
CREATE INDEX trace_tags_by_value ON trace_tags (key, value) WHERE length(value) <= 100;
UPDATE alembic_version SET version_num='0003' WHERE alembic_version.version_num = '0002';
ALTER TABLE runs ADD COLUMN deleted_time_ms BIGINT;
UPDATE alembic_version SET version_num='0004' WHERE alembic_version.version_num = '0003';
CREATE TABLE promotion_requests (
    request_pk SERIAL NOT NULL,
    registered_model_pk INTEGER NOT NULL,
    version INTEGER NOT NULL,
    stage TEXT COLLATE "C",
    alias TEXT COLLATE "C",
    archive_existing INTEGER NOT NULL,
    time_ms BIGINT NOT NULL,
    user_id TEXT COLLATE "C" NOT NULL,
    reason TEXT COLLATE "C" NOT NULL,
    run_id TEXT COLLATE "C",
    condition TEXT COLLATE "C" NOT NULL,
    holder TEXT COLLATE "C",
    approvers TEXT COLLATE "C" NOT NULL,
    status TEXT COLLATE "C" NOT NULL,
    decided_by TEXT COLLATE "C" NOT NULL,
    decided_time_ms BIGINT,
    comment TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (request_pk)
);
CREATE INDEX promotion_requests_by_model ON promotion_requests (registered_model_pk, version);
CREATE INDEX promotion_requests_by_status ON promotion_requests (status);
ALTER TABLE model_version_transitions ADD COLUMN via TEXT COLLATE "C";
CREATE INDEX model_version_tags_by_value ON model_version_tags (key, value) WHERE length(value) <= 100;
UPDATE alembic_version SET version_num='0005' WHERE alembic_version.version_num = '0004';
CREATE INDEX registered_models_by_update ON registered_models (last_update_time_ms);
UPDATE alembic_version SET version_num='0006' WHERE alembic_version.version_num = '0005';
DROP INDEX latest_metrics_by_value;
CREATE INDEX latest_metrics_by_value ON latest_metrics (key, value, is_nan) INCLUDE (run_pk);
UPDATE alembic_version SET version_num='0007' WHERE alembic_version.version_num = '0006';
ALTER TABLE params DROP CONSTRAINT params_run_pk_fkey;
ALTER TABLE tags DROP CONSTRAINT tags_run_pk_fkey;
ALTER TABLE metrics DROP CONSTRAINT metrics_run_pk_fkey;
ALTER TABLE latest_metrics DROP CONSTRAINT latest_metrics_run_pk_fkey;
CREATE FUNCTION flowrun_remove_logged() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            DELETE FROM params WHERE run_pk = OLD.run_pk;
    DELETE FROM tags WHERE run_pk = OLD.run_pk;
    DELETE FROM metrics WHERE run_pk = OLD.run_pk;
    DELETE FROM latest_metrics WHERE run_pk = OLD.run_pk;
            RETURN NULL;
        END
        $$;
CREATE TRIGGER runs_remove_logged AFTER DELETE ON runs
        FOR EACH ROW EXECUTE FUNCTION flowrun_remove_logged();
UPDATE alembic_version SET version_num='0008' WHERE alembic_version.version_num = '0007';
