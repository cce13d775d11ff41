CREATE TABLE about (
    name VARCHAR(40) NOT NULL,
    value VARCHAR(200) NOT NULL,
    PRIMARY KEY (name)
);

CREATE TABLE alembic_version (
    version_num VARCHAR(32) NOT NULL,
    CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);

CREATE TABLE build (
    id INTEGER NOT NULL,
    registered_at DATETIME NOT NULL,
    digest VARCHAR(64) NOT NULL,
    key_sha256 VARCHAR(64) NOT NULL,
    design_digest VARCHAR(64) NOT NULL,
    file_format VARCHAR(8) NOT NULL,
    stimuli JSON NOT NULL,
    practice JSON NOT NULL,
    ordering VARCHAR(20) NOT NULL,
    seed BIGINT NOT NULL,
    repeats INTEGER NOT NULL,
    passes INTEGER DEFAULT '1' NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT ordering_known CHECK (ordering IN ('counterbalanced', 'fixed')),
    CONSTRAINT repeats_positive CHECK (repeats >= 0),
    CONSTRAINT passes_known CHECK (passes IN (1, 2))
);

CREATE TABLE listener (
    id INTEGER NOT NULL,
    number INTEGER NOT NULL,
    name VARCHAR(200) NOT NULL,
    token VARCHAR(64) NOT NULL,
    invited_at DATETIME NOT NULL,
    revoked_at DATETIME,
    last_seen_at DATETIME,
    tab VARCHAR(32),
    consent_at DATETIME,
    consent_version VARCHAR(64),
    sound_check_at DATETIME,
    playback VARCHAR(20),
    part_begun INTEGER NOT NULL,
    finished_at DATETIME,
    pilot BOOLEAN DEFAULT 0 NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT pilots_are_negative CHECK (pilot = (number < 0)),
    UNIQUE (name),
    UNIQUE (token)
);

CREATE INDEX ix_listener_number ON listener (number);

CREATE TABLE trial (
    listener_id INTEGER NOT NULL,
    slot INTEGER NOT NULL,
    part INTEGER NOT NULL,
    set_name VARCHAR(80) NOT NULL,
    position INTEGER NOT NULL,
    stimulus_id VARCHAR(32) NOT NULL,
    repetition INTEGER NOT NULL,
    play_key VARCHAR(64) NOT NULL,
    phase VARCHAR(8) DEFAULT 'all' NOT NULL,
    PRIMARY KEY (listener_id, slot),
    CONSTRAINT trial_phase_known CHECK (phase IN ('all', 'verdict', 'rating')),
    CONSTRAINT one_clip_per_position UNIQUE (listener_id, part, position),
    CONSTRAINT one_trial_per_repetition UNIQUE (listener_id, set_name, stimulus_id, repetition, phase),
    FOREIGN KEY(listener_id) REFERENCES listener (id) ON DELETE CASCADE,
    UNIQUE (play_key)
);

CREATE TABLE answer (
    listener_id INTEGER NOT NULL,
    slot INTEGER NOT NULL,
    verdict VARCHAR(8),
    difficulty VARCHAR(16),
    musicality INTEGER,
    inspiring VARCHAR(8),
    inspiring_text TEXT,
    comment TEXT,
    plays INTEGER NOT NULL,
    seconds_heard FLOAT NOT NULL,
    seconds_played FLOAT NOT NULL,
    spans JSON NOT NULL,
    shown_at DATETIME NOT NULL,
    first_play_at DATETIME,
    unlocked_at DATETIME,
    answered_at DATETIME,
    revision INTEGER NOT NULL,
    press VARCHAR(64),
    app_version VARCHAR(40),
    design_digest VARCHAR(64),
    phase VARCHAR(8) DEFAULT 'all' NOT NULL,
    confidence INTEGER,
    kept BOOLEAN DEFAULT 0 NOT NULL,
    PRIMARY KEY (listener_id, slot),
    CONSTRAINT answer_phase_known CHECK (phase IN ('all', 'verdict', 'rating')),
    FOREIGN KEY(listener_id, slot) REFERENCES trial (listener_id, slot),
    CONSTRAINT verdict_known CHECK (verdict IS NULL OR verdict IN ('real', 'fake')),
    CONSTRAINT difficulty_known CHECK (difficulty IS NULL OR difficulty IN ('easy', 'dont_know', 'difficult')),
    CONSTRAINT inspiring_known CHECK (inspiring IS NULL OR inspiring IN ('yes', 'no', 'maybe', 'other')),
    CONSTRAINT musicality_on_scale CHECK (musicality IS NULL OR musicality BETWEEN 0 AND 10),
    CONSTRAINT difficulty_of_fakes_only CHECK (difficulty IS NULL OR verdict = 'fake'),
    CONSTRAINT text_of_other_only CHECK (inspiring_text IS NULL OR inspiring = 'other'),
    CONSTRAINT final_answers_are_complete CHECK (answered_at IS NULL OR ((phase = 'rating' OR (verdict IS NOT NULL AND (verdict = 'real' OR difficulty IS NOT NULL))) AND (phase = 'verdict' OR (musicality IS NOT NULL AND inspiring IS NOT NULL)))),
    CONSTRAINT answers_of_their_phase_only CHECK ((phase <> 'rating' OR (verdict IS NULL AND difficulty IS NULL AND confidence IS NULL)) AND (phase <> 'verdict' OR (musicality IS NULL AND inspiring IS NULL AND inspiring_text IS NULL AND comment IS NULL))),
    CONSTRAINT confidence_on_scale CHECK (confidence IS NULL OR confidence BETWEEN 1 AND 5),
    CONSTRAINT heard_positive CHECK (plays >= 0 AND seconds_heard >= 0 AND seconds_played >= 0)
);

CREATE TABLE revision (
    id INTEGER NOT NULL,
    listener_id INTEGER NOT NULL,
    slot INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    at DATETIME NOT NULL,
    final BOOLEAN NOT NULL,
    changes JSON NOT NULL,
    PRIMARY KEY (id),
    FOREIGN KEY(listener_id, slot) REFERENCES answer (listener_id, slot),
    CONSTRAINT revisions_count_up UNIQUE (listener_id, slot, revision)
);

CREATE TABLE final_answer (
    listener_id INTEGER NOT NULL,
    number INTEGER NOT NULL,
    question TEXT NOT NULL,
    text TEXT NOT NULL,
    saved_at DATETIME NOT NULL,
    PRIMARY KEY (listener_id, number),
    FOREIGN KEY(listener_id) REFERENCES listener (id)
);

CREATE TABLE play_event (
    id INTEGER NOT NULL,
    listener_id INTEGER NOT NULL,
    slot INTEGER NOT NULL,
    at DATETIME NOT NULL,
    kind VARCHAR(20) NOT NULL,
    seconds_heard FLOAT,
    position_seconds FLOAT,
    PRIMARY KEY (id),
    FOREIGN KEY(listener_id) REFERENCES listener (id)
);

CREATE INDEX ix_play_event_listener_id ON play_event (listener_id);

CREATE TABLE unblinding (
    id INTEGER NOT NULL,
    at DATETIME NOT NULL,
    who VARCHAR(200) NOT NULL,
    reason TEXT NOT NULL,
    key_sha256 VARCHAR(64) NOT NULL,
    PRIMARY KEY (id)
);

CREATE TABLE study_event (
    id INTEGER NOT NULL,
    at DATETIME NOT NULL,
    who VARCHAR(200) NOT NULL,
    what VARCHAR(40) NOT NULL,
    detail TEXT NOT NULL,
    PRIMARY KEY (id)
);
