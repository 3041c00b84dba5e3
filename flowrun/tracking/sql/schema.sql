-- Written by `python -m flowrun.tracking.sql.upgrade` from the migrations.
-- A new store is made from this text, which needs no import of Alembic.
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
CREATE TABLE experiments (
	experiment_id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	name TEXT NOT NULL, 
	artifact_location TEXT NOT NULL, 
	lifecycle_stage TEXT NOT NULL, 
	creation_time_ms INTEGER NOT NULL, 
	last_update_time_ms INTEGER NOT NULL, 
	UNIQUE (name)
)
 STRICT

;
CREATE TABLE model_version_transitions (
	transition_pk INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	registered_model_pk INTEGER NOT NULL, 
	version INTEGER NOT NULL, 
	time_ms INTEGER NOT NULL, 
	user_id TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	alias TEXT NOT NULL, 
	"before" TEXT NOT NULL, 
	"after" TEXT NOT NULL, 
	reason TEXT NOT NULL, 
	run_id TEXT
, via TEXT)
 STRICT

;
CREATE TABLE registered_models (
	registered_model_pk INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	name TEXT NOT NULL, 
	creation_time_ms INTEGER NOT NULL, 
	last_update_time_ms INTEGER NOT NULL, 
	description TEXT NOT NULL, 
	last_version INTEGER NOT NULL, 
	UNIQUE (name)
)
 STRICT

;
CREATE TABLE datasets (
	dataset_pk INTEGER NOT NULL, 
	experiment_id INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	digest TEXT NOT NULL, 
	source_type TEXT NOT NULL, 
	source TEXT NOT NULL, 
	dataset_schema TEXT, 
	dataset_profile TEXT, 
	PRIMARY KEY (dataset_pk), 
	FOREIGN KEY(experiment_id) REFERENCES experiments (experiment_id)
)
 STRICT

;
CREATE TABLE experiment_tags (
	experiment_id INTEGER NOT NULL, 
	"key" TEXT NOT NULL, 
	value TEXT NOT NULL, 
	PRIMARY KEY (experiment_id, "key"), 
	FOREIGN KEY(experiment_id) REFERENCES experiments (experiment_id)
)
 WITHOUT ROWID,
 STRICT

;
CREATE TABLE logged_models (
	model_id TEXT NOT NULL, 
	experiment_id INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	artifact_uri TEXT NOT NULL, 
	creation_time_ms INTEGER NOT NULL, 
	last_update_time_ms INTEGER NOT NULL, 
	status TEXT NOT NULL, 
	model_type TEXT, 
	source_run_id TEXT, 
	lifecycle_stage TEXT NOT NULL, 
	PRIMARY KEY (model_id), 
	FOREIGN KEY(experiment_id) REFERENCES experiments (experiment_id)
)
 WITHOUT ROWID,
 STRICT

;
CREATE TABLE model_versions (
	registered_model_pk INTEGER NOT NULL, 
	version INTEGER NOT NULL, 
	creation_time_ms INTEGER NOT NULL, 
	last_update_time_ms INTEGER NOT NULL, 
	description TEXT NOT NULL, 
	user_id TEXT, 
	stage TEXT NOT NULL, 
	status TEXT NOT NULL, 
	source TEXT NOT NULL, 
	download_uri TEXT NOT NULL, 
	run_id TEXT, 
	run_link TEXT, 
	model_id TEXT, 
	PRIMARY KEY (registered_model_pk, version), 
	FOREIGN KEY(registered_model_pk) REFERENCES registered_models (registered_model_pk) ON DELETE CASCADE
)
 WITHOUT ROWID,
 STRICT

;
CREATE TABLE registered_model_tags (
	registered_model_pk INTEGER NOT NULL, 
	"key" TEXT NOT NULL, 
	value TEXT NOT NULL, 
	PRIMARY KEY (registered_model_pk, "key"), 
	FOREIGN KEY(registered_model_pk) REFERENCES registered_models (registered_model_pk) ON DELETE CASCADE
)
 WITHOUT ROWID,
 STRICT

;
CREATE TABLE runs (
	run_pk INTEGER NOT NULL, 
	run_id TEXT NOT NULL, 
	experiment_id INTEGER NOT NULL, 
	run_name TEXT NOT NULL, 
	user_id TEXT NOT NULL, 
	status TEXT NOT NULL, 
	start_time_ms INTEGER NOT NULL, 
	end_time_ms INTEGER, 
	artifact_uri TEXT NOT NULL, 
	lifecycle_stage TEXT NOT NULL, deleted_time_ms INTEGER, 
	PRIMARY KEY (run_pk), 
	FOREIGN KEY(experiment_id) REFERENCES experiments (experiment_id), 
	UNIQUE (run_id)
)
 STRICT

;
CREATE TABLE latest_metrics (
	run_pk INTEGER NOT NULL, 
	"key" TEXT NOT NULL, 
	value REAL NOT NULL, 
	timestamp_ms INTEGER NOT NULL, 
	step INTEGER NOT NULL, 
	is_nan INTEGER NOT NULL, 
	PRIMARY KEY (run_pk, "key"), 
	FOREIGN KEY(run_pk) REFERENCES runs (run_pk) ON DELETE CASCADE
)
 WITHOUT ROWID,
 STRICT

;
CREATE TABLE logged_model_metrics (
	model_id TEXT NOT NULL, 
	"key" TEXT NOT NULL, 
	timestamp_ms INTEGER NOT NULL, 
	step INTEGER NOT NULL, 
	run_id TEXT NOT NULL, 
	value REAL NOT NULL, 
	is_nan INTEGER NOT NULL, 
	dataset_name TEXT, 
	dataset_digest TEXT, 
	PRIMARY KEY (model_id, "key", timestamp_ms, step, run_id), 
	FOREIGN KEY(model_id) REFERENCES logged_models (model_id) ON DELETE CASCADE
)
 WITHOUT ROWID,
 STRICT

;
CREATE TABLE logged_model_params (
	model_id TEXT NOT NULL, 
	"key" TEXT NOT NULL, 
	value TEXT NOT NULL, 
	PRIMARY KEY (model_id, "key"), 
	FOREIGN KEY(model_id) REFERENCES logged_models (model_id) ON DELETE CASCADE
)
 WITHOUT ROWID,
 STRICT

;
CREATE TABLE logged_model_tags (
	model_id TEXT NOT NULL, 
	"key" TEXT NOT NULL, 
	value TEXT NOT NULL, 
	PRIMARY KEY (model_id, "key"), 
	FOREIGN KEY(model_id) REFERENCES logged_models (model_id) ON DELETE CASCADE
)
 WITHOUT ROWID,
 STRICT

;
CREATE TABLE metrics (
	run_pk INTEGER NOT NULL, 
	"key" TEXT NOT NULL, 
	timestamp_ms INTEGER NOT NULL, 
	step INTEGER NOT NULL, 
	value REAL NOT NULL, 
	is_nan INTEGER NOT NULL, 
	PRIMARY KEY (run_pk, "key", timestamp_ms, step, value, is_nan), 
	FOREIGN KEY(run_pk) REFERENCES runs (run_pk) ON DELETE CASCADE
)
 WITHOUT ROWID,
 STRICT

;
CREATE TABLE model_version_tags (
	registered_model_pk INTEGER NOT NULL, 
	version INTEGER NOT NULL, 
	"key" TEXT NOT NULL, 
	value TEXT NOT NULL, 
	PRIMARY KEY (registered_model_pk, version, "key"), 
	FOREIGN KEY(registered_model_pk, version) REFERENCES model_versions (registered_model_pk, version) ON DELETE CASCADE
)
 WITHOUT ROWID,
 STRICT

;
CREATE TABLE params (
	run_pk INTEGER NOT NULL, 
	"key" TEXT NOT NULL, 
	value TEXT NOT NULL, 
	PRIMARY KEY (run_pk, "key"), 
	FOREIGN KEY(run_pk) REFERENCES runs (run_pk) ON DELETE CASCADE
)
 WITHOUT ROWID,
 STRICT

;
CREATE TABLE registered_model_aliases (
	registered_model_pk INTEGER NOT NULL, 
	alias TEXT NOT NULL, 
	version INTEGER NOT NULL, 
	PRIMARY KEY (registered_model_pk, alias), 
	FOREIGN KEY(registered_model_pk, version) REFERENCES model_versions (registered_model_pk, version) ON DELETE CASCADE
)
 WITHOUT ROWID,
 STRICT

;
CREATE TABLE run_dataset_tags (
	run_pk INTEGER NOT NULL, 
	dataset_pk INTEGER NOT NULL, 
	"key" TEXT NOT NULL, 
	value TEXT NOT NULL, 
	PRIMARY KEY (run_pk, dataset_pk, "key"), 
	FOREIGN KEY(dataset_pk) REFERENCES datasets (dataset_pk), 
	FOREIGN KEY(run_pk) REFERENCES runs (run_pk) ON DELETE CASCADE
)
 WITHOUT ROWID,
 STRICT

;
CREATE TABLE run_datasets (
	run_pk INTEGER NOT NULL, 
	dataset_pk INTEGER NOT NULL, 
	PRIMARY KEY (run_pk, dataset_pk), 
	FOREIGN KEY(dataset_pk) REFERENCES datasets (dataset_pk), 
	FOREIGN KEY(run_pk) REFERENCES runs (run_pk) ON DELETE CASCADE
)
 WITHOUT ROWID,
 STRICT

;
CREATE TABLE run_models (
	run_pk INTEGER NOT NULL, 
	direction TEXT NOT NULL, 
	model_id TEXT NOT NULL, 
	step INTEGER NOT NULL, 
	PRIMARY KEY (run_pk, direction, model_id, step), 
	FOREIGN KEY(run_pk) REFERENCES runs (run_pk) ON DELETE CASCADE
)
 WITHOUT ROWID,
 STRICT

;
CREATE TABLE tags (
	run_pk INTEGER NOT NULL, 
	"key" TEXT NOT NULL, 
	value TEXT NOT NULL, 
	PRIMARY KEY (run_pk, "key"), 
	FOREIGN KEY(run_pk) REFERENCES runs (run_pk) ON DELETE CASCADE
)
 WITHOUT ROWID,
 STRICT

;
CREATE TABLE webhooks (
	webhook_id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	url TEXT NOT NULL, 
	creation_time_ms INTEGER NOT NULL, 
	last_update_time_ms INTEGER NOT NULL, 
	description TEXT NOT NULL, 
	status TEXT NOT NULL, 
	sealed_secret TEXT, 
	PRIMARY KEY (webhook_id)
)
 WITHOUT ROWID,
 STRICT

;
CREATE TABLE webhook_events (
	webhook_id TEXT NOT NULL, 
	event TEXT NOT NULL, 
	PRIMARY KEY (webhook_id, event), 
	FOREIGN KEY(webhook_id) REFERENCES webhooks (webhook_id) ON DELETE CASCADE
)
 WITHOUT ROWID,
 STRICT

;
CREATE TABLE webhook_deliveries (
	delivery_pk INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	webhook_id TEXT NOT NULL, 
	event TEXT NOT NULL, 
	data TEXT NOT NULL, 
	time_ms INTEGER NOT NULL, 
	attempts INTEGER NOT NULL, 
	next_time_ms INTEGER NOT NULL, 
	FOREIGN KEY(webhook_id) REFERENCES webhooks (webhook_id) ON DELETE CASCADE
)
 STRICT

;
CREATE TABLE traces (
	trace_pk INTEGER NOT NULL, 
	trace_id TEXT NOT NULL, 
	experiment_id INTEGER NOT NULL, 
	timestamp_ms INTEGER NOT NULL, 
	execution_time_ms INTEGER, 
	status TEXT NOT NULL, 
	client_request_id TEXT, 
	request_preview TEXT, 
	response_preview TEXT, 
	is_told INTEGER NOT NULL, 
	PRIMARY KEY (trace_pk), 
	FOREIGN KEY(experiment_id) REFERENCES experiments (experiment_id), 
	UNIQUE (trace_id)
)
 STRICT

;
CREATE TABLE assessments (
	trace_pk INTEGER NOT NULL, 
	assessment_id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	value TEXT NOT NULL, 
	number REAL, 
	error TEXT, 
	span_id TEXT, 
	source_type TEXT NOT NULL, 
	source_id TEXT NOT NULL, 
	rationale TEXT, 
	assessment_metadata TEXT NOT NULL, 
	overrides TEXT, 
	is_valid INTEGER NOT NULL, 
	create_time_ms INTEGER NOT NULL, 
	last_update_time_ms INTEGER NOT NULL, 
	PRIMARY KEY (trace_pk, assessment_id), 
	FOREIGN KEY(trace_pk) REFERENCES traces (trace_pk) ON DELETE CASCADE
)
 WITHOUT ROWID,
 STRICT

;
CREATE TABLE spans (
	span_pk INTEGER NOT NULL, 
	trace_pk INTEGER NOT NULL, 
	span_id TEXT NOT NULL, 
	parent_id TEXT, 
	name TEXT NOT NULL, 
	type TEXT, 
	status TEXT NOT NULL, 
	start_time_ns INTEGER NOT NULL, 
	end_time_ns INTEGER, 
	token_usage TEXT, 
	cost TEXT, 
	content TEXT NOT NULL, 
	PRIMARY KEY (span_pk), 
	FOREIGN KEY(trace_pk) REFERENCES traces (trace_pk) ON DELETE CASCADE
)
 STRICT

;
CREATE TABLE trace_metadata (
	trace_pk INTEGER NOT NULL, 
	"key" TEXT NOT NULL, 
	value TEXT NOT NULL, 
	PRIMARY KEY (trace_pk, "key"), 
	FOREIGN KEY(trace_pk) REFERENCES traces (trace_pk) ON DELETE CASCADE
)
 WITHOUT ROWID,
 STRICT

;
CREATE TABLE trace_prompts (
	trace_pk INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	version TEXT NOT NULL, 
	PRIMARY KEY (trace_pk, name, version), 
	FOREIGN KEY(trace_pk) REFERENCES traces (trace_pk) ON DELETE CASCADE
)
 WITHOUT ROWID,
 STRICT

;
CREATE TABLE trace_runs (
	trace_pk INTEGER NOT NULL, 
	run_id TEXT NOT NULL, 
	PRIMARY KEY (trace_pk, run_id), 
	FOREIGN KEY(trace_pk) REFERENCES traces (trace_pk) ON DELETE CASCADE
)
 WITHOUT ROWID,
 STRICT

;
CREATE TABLE trace_tags (
	trace_pk INTEGER NOT NULL, 
	"key" TEXT NOT NULL, 
	value TEXT NOT NULL, 
	PRIMARY KEY (trace_pk, "key"), 
	FOREIGN KEY(trace_pk) REFERENCES traces (trace_pk) ON DELETE CASCADE
)
 WITHOUT ROWID,
 STRICT

;
CREATE TABLE promotion_requests (
	request_pk INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	registered_model_pk INTEGER NOT NULL, 
	version INTEGER NOT NULL, 
	stage TEXT, 
	alias TEXT, 
	archive_existing INTEGER NOT NULL, 
	time_ms INTEGER NOT NULL, 
	user_id TEXT NOT NULL, 
	reason TEXT NOT NULL, 
	run_id TEXT, 
	condition TEXT NOT NULL, 
	holder TEXT, 
	approvers TEXT NOT NULL, 
	status TEXT NOT NULL, 
	decided_by TEXT NOT NULL, 
	decided_time_ms INTEGER, 
	comment TEXT NOT NULL
)
 STRICT

;
CREATE INDEX transitions_by_model ON model_version_transitions (registered_model_pk, version);
CREATE UNIQUE INDEX datasets_by_name ON datasets (experiment_id, name, digest);
CREATE INDEX logged_models_by_creation ON logged_models (experiment_id, lifecycle_stage, creation_time_ms);
CREATE INDEX logged_models_by_run ON logged_models (source_run_id);
CREATE INDEX model_versions_by_run ON model_versions (run_id);
CREATE INDEX model_versions_by_update ON model_versions (last_update_time_ms);
CREATE INDEX runs_by_start ON runs (experiment_id, lifecycle_stage, start_time_ms);
CREATE INDEX latest_metrics_by_value ON latest_metrics ("key", value, is_nan);
CREATE INDEX logged_model_metrics_by_value ON logged_model_metrics ("key", value);
CREATE INDEX params_by_value ON params ("key", value) WHERE length(value) <= 100;
CREATE INDEX tags_by_value ON tags ("key", value) WHERE length(value) <= 100;
CREATE INDEX webhook_deliveries_by_time ON webhook_deliveries (webhook_id, next_time_ms);
CREATE INDEX traces_by_client ON traces (client_request_id);
CREATE INDEX traces_by_status ON traces (experiment_id, status, timestamp_ms);
CREATE INDEX traces_by_time ON traces (experiment_id, timestamp_ms);
CREATE INDEX assessments_by_name ON assessments (kind, name);
CREATE INDEX spans_by_name ON spans (name, trace_pk);
CREATE UNIQUE INDEX spans_by_trace ON spans (trace_pk, span_id);
CREATE INDEX spans_by_type ON spans (type, trace_pk);
CREATE INDEX trace_metadata_by_value ON trace_metadata ("key", value) WHERE length(value) <= 100;
CREATE INDEX trace_prompts_by_name ON trace_prompts (name, version);
CREATE INDEX trace_runs_by_run ON trace_runs (run_id);
CREATE INDEX trace_tags_by_value ON trace_tags ("key", value) WHERE length(value) <= 100;
CREATE INDEX promotion_requests_by_model ON promotion_requests (registered_model_pk, version);
CREATE INDEX promotion_requests_by_status ON promotion_requests (status);
CREATE INDEX model_version_tags_by_value ON model_version_tags ("key", value) WHERE length(value) <= 100;
CREATE INDEX registered_models_by_update ON registered_models (last_update_time_ms);
INSERT INTO alembic_version VALUES ('0008');
PRAGMA application_id = 1718382455;
