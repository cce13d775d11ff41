BEGIN TRANSACTION;
CREATE TABLE about (
	name VARCHAR(40) NOT NULL,
	value VARCHAR(200) NOT NULL,
	PRIMARY KEY (name)
);
INSERT INTO "about" VALUES('schema','1');
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
	PRIMARY KEY (listener_id, slot),
	FOREIGN KEY(listener_id, slot) REFERENCES trial (listener_id, slot),
	CONSTRAINT verdict_known CHECK (verdict IS NULL OR verdict IN ('real', 'fake')),
	CONSTRAINT difficulty_known CHECK (difficulty IS NULL OR difficulty IN ('easy', 'dont_know', 'difficult')),
	CONSTRAINT inspiring_known CHECK (inspiring IS NULL OR inspiring IN ('yes', 'no', 'maybe', 'other')),
	CONSTRAINT musicality_on_scale CHECK (musicality IS NULL OR musicality BETWEEN 0 AND 10),
	CONSTRAINT difficulty_of_fakes_only CHECK (difficulty IS NULL OR verdict = 'fake'),
	CONSTRAINT text_of_other_only CHECK (inspiring_text IS NULL OR inspiring = 'other'),
	CONSTRAINT final_answers_are_complete CHECK (answered_at IS NULL OR (verdict IS NOT NULL AND musicality IS NOT NULL AND inspiring IS NOT NULL AND (verdict = 'real' OR difficulty IS NOT NULL))),
	CONSTRAINT heard_positive CHECK (plays >= 0 AND seconds_heard >= 0 AND seconds_played >= 0)
);
INSERT INTO "answer" VALUES(1,0,'fake','easy',3,'no',NULL,'“naïve”
	👩‍🎤 x''y',1,1.2,1.2,'[[0.0, 1.2]]','2026-11-22 23:57:36.057864','2026-11-22 23:57:36.080347','2026-11-22 23:57:36.080347','2026-11-22 23:57:36.087233',3,'press 0','0.1.0','cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd');
INSERT INTO "answer" VALUES(1,1,'fake','easy',3,'no',NULL,NULL,1,1.2,1.2,'[[0.0, 1.2]]','2026-11-22 23:57:36.098852','2026-11-22 23:57:36.100152','2026-11-22 23:57:36.100152','2026-11-22 23:57:36.100152',1,'press 2','0.1.0','cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd');
INSERT INTO "answer" VALUES(1,2,'fake','easy',3,'no',NULL,NULL,1,1.2,1.2,'[[0.0, 1.2]]','2026-11-22 23:57:36.105381','2026-11-22 23:57:36.106799','2026-11-22 23:57:36.106799','2026-11-22 23:57:36.106799',1,'press 3','0.1.0','cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd');
INSERT INTO "answer" VALUES(1,3,'fake','easy',3,'no',NULL,NULL,1,1.2,1.2,'[[0.0, 1.2]]','2026-11-22 23:57:36.110842','2026-11-22 23:57:36.111971','2026-11-22 23:57:36.111971','2026-11-22 23:57:36.111971',1,'press 4','0.1.0','cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd');
INSERT INTO "answer" VALUES(1,4,'fake','easy',3,'no',NULL,NULL,1,1.2,1.2,'[[0.0, 1.2]]','2026-11-22 23:57:36.115717','2026-11-22 23:57:36.120530','2026-11-22 23:57:36.120530','2026-11-22 23:57:36.120530',1,'press 5','0.1.0','cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd');
INSERT INTO "answer" VALUES(1,5,'fake','easy',3,'no',NULL,NULL,1,1.2,1.2,'[[0.0, 1.2]]','2026-11-22 23:57:36.124710','2026-11-22 23:57:36.126045','2026-11-22 23:57:36.126045','2026-11-22 23:57:36.126045',1,'press 6','0.1.0','cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd');
INSERT INTO "answer" VALUES(1,6,'fake','easy',3,'no',NULL,NULL,1,1.2,1.2,'[[0.0, 1.2]]','2026-11-22 23:57:36.131699','2026-11-22 23:57:36.133113','2026-11-22 23:57:36.133113','2026-11-22 23:57:36.133113',1,'press 8','0.1.0','cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd');
INSERT INTO "answer" VALUES(1,7,'fake','easy',3,'no',NULL,NULL,1,1.2,1.2,'[[0.0, 1.2]]','2026-11-22 23:57:36.137731','2026-11-22 23:57:36.139280','2026-11-22 23:57:36.139280','2026-11-22 23:57:36.139280',1,'press 9','0.1.0','cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd');
INSERT INTO "answer" VALUES(1,8,'fake','easy',3,'no',NULL,NULL,1,1.2,1.2,'[[0.0, 1.2]]','2026-11-22 23:57:36.143345','2026-11-22 23:57:36.144773','2026-11-22 23:57:36.144773','2026-11-22 23:57:36.144773',1,'press 10','0.1.0','cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd');
INSERT INTO "answer" VALUES(2,0,'fake','easy',3,'no',NULL,NULL,1,1.2,1.2,'[[0.0, 1.2]]','2026-11-22 23:57:36.159842','2026-11-22 23:57:36.161198','2026-11-22 23:57:36.161198','2026-11-22 23:57:36.161198',1,'press 0','0.1.0','cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd');
INSERT INTO "answer" VALUES(2,1,'fake','easy',3,'no',NULL,NULL,1,1.2,1.2,'[[0.0, 1.2]]','2026-11-22 23:57:36.167084','2026-11-22 23:57:36.168411','2026-11-22 23:57:36.168411','2026-11-22 23:57:36.168411',1,'press 2','0.1.0','cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd');
INSERT INTO "answer" VALUES(2,2,'fake','easy',3,'no',NULL,NULL,1,1.2,1.2,'[[0.0, 1.2]]','2026-11-22 23:57:36.173051','2026-11-22 23:57:36.174433','2026-11-22 23:57:36.174433','2026-11-22 23:57:36.174433',1,'press 3','0.1.0','cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd');
INSERT INTO "answer" VALUES(2,3,NULL,NULL,7,NULL,NULL,'half',0,0.0,0.0,'[]','2026-11-22 23:57:36.177571',NULL,NULL,NULL,1,NULL,NULL,NULL);
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
	PRIMARY KEY (id),
	CONSTRAINT ordering_known CHECK (ordering IN ('counterbalanced', 'fixed')),
	CONSTRAINT repeats_positive CHECK (repeats >= 0)
);
INSERT INTO "build" VALUES(1,'2026-11-22 23:57:36.041031','61036b596383f9311f1a2bb38d7088e611b0109c0405e28a7db7501d26dcaa22','abababababababababababababababababababababababababababababababab','cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd','wav','[["UMG", ["aaaaaaaa", "bbbbbbbb", "cccccccc", "dddddddd"]], ["VAR", ["eeeeeeee", "ffffffff"]]]','["gggggggg"]','counterbalanced',188753807911851,1);
CREATE TABLE final_answer (
	listener_id INTEGER NOT NULL,
	number INTEGER NOT NULL,
	question TEXT NOT NULL,
	text TEXT NOT NULL,
	saved_at DATETIME NOT NULL,
	PRIMARY KEY (listener_id, number),
	FOREIGN KEY(listener_id) REFERENCES listener (id)
);
INSERT INTO "final_answer" VALUES(1,1,'q1','line one
line two','2026-11-22 23:57:36.149077');
INSERT INTO "final_answer" VALUES(1,2,'q2','','2026-11-22 23:57:36.149077');
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
	PRIMARY KEY (id),
	UNIQUE (number),
	UNIQUE (name),
	UNIQUE (token)
);
INSERT INTO "listener" VALUES(1,0,'Ann','7uwwpp75upj88vbthp69phmmba','2026-11-22 23:57:36.045904',NULL,'2026-11-22 23:57:36.149077','T','2026-11-22 23:57:36.052801','v1','2026-11-22 23:57:36.054140','headphones',2,'2026-11-22 23:57:36.149077');
INSERT INTO "listener" VALUES(2,1,'Bo','5jkq993s6upu2gkq3tg9cic7xv','2026-11-22 23:57:36.152961',NULL,'2026-11-22 23:57:36.178686','T','2026-11-22 23:57:36.156192','v1','2026-11-22 23:57:36.157004','headphones',1,NULL);
INSERT INTO "listener" VALUES(3,2,'Cy','uh9uurz8qx7sqxxms2nrbmaamg','2026-11-22 23:57:36.182406',NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL);
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
INSERT INTO "play_event" VALUES(1,2,3,'2026-11-22 23:57:36.187069','play',3.00000000000000044408e-01,NULL);
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
INSERT INTO "revision" VALUES(1,1,0,1,'2026-11-22 23:57:36.068349',0,'{"verdict": "real"}');
INSERT INTO "revision" VALUES(2,1,0,2,'2026-11-22 23:57:36.080347',0,'{"comment": "\u201cna\u00efve\u201d\n\t\ud83d\udc69\u200d\ud83c\udfa4 x''y", "inspiring": "other", "inspiring_text": "the bass"}');
INSERT INTO "revision" VALUES(3,1,0,3,'2026-11-22 23:57:36.087233',1,'{"verdict": "fake", "difficulty": "easy", "musicality": 3, "inspiring": "no", "inspiring_text": null}');
INSERT INTO "revision" VALUES(4,1,1,1,'2026-11-22 23:57:36.100152',1,'{"verdict": "fake", "difficulty": "easy", "musicality": 3, "inspiring": "no"}');
INSERT INTO "revision" VALUES(5,1,2,1,'2026-11-22 23:57:36.106799',1,'{"verdict": "fake", "difficulty": "easy", "musicality": 3, "inspiring": "no"}');
INSERT INTO "revision" VALUES(6,1,3,1,'2026-11-22 23:57:36.111971',1,'{"verdict": "fake", "difficulty": "easy", "musicality": 3, "inspiring": "no"}');
INSERT INTO "revision" VALUES(7,1,4,1,'2026-11-22 23:57:36.120530',1,'{"verdict": "fake", "difficulty": "easy", "musicality": 3, "inspiring": "no"}');
INSERT INTO "revision" VALUES(8,1,5,1,'2026-11-22 23:57:36.126045',1,'{"verdict": "fake", "difficulty": "easy", "musicality": 3, "inspiring": "no"}');
INSERT INTO "revision" VALUES(9,1,6,1,'2026-11-22 23:57:36.133113',1,'{"verdict": "fake", "difficulty": "easy", "musicality": 3, "inspiring": "no"}');
INSERT INTO "revision" VALUES(10,1,7,1,'2026-11-22 23:57:36.139280',1,'{"verdict": "fake", "difficulty": "easy", "musicality": 3, "inspiring": "no"}');
INSERT INTO "revision" VALUES(11,1,8,1,'2026-11-22 23:57:36.144773',1,'{"verdict": "fake", "difficulty": "easy", "musicality": 3, "inspiring": "no"}');
INSERT INTO "revision" VALUES(12,2,0,1,'2026-11-22 23:57:36.161198',1,'{"verdict": "fake", "difficulty": "easy", "musicality": 3, "inspiring": "no"}');
INSERT INTO "revision" VALUES(13,2,1,1,'2026-11-22 23:57:36.168411',1,'{"verdict": "fake", "difficulty": "easy", "musicality": 3, "inspiring": "no"}');
INSERT INTO "revision" VALUES(14,2,2,1,'2026-11-22 23:57:36.174433',1,'{"verdict": "fake", "difficulty": "easy", "musicality": 3, "inspiring": "no"}');
INSERT INTO "revision" VALUES(15,2,3,1,'2026-11-22 23:57:36.178686',0,'{"musicality": 7, "comment": "half"}');
CREATE TABLE trial (
	listener_id INTEGER NOT NULL,
	slot INTEGER NOT NULL,
	part INTEGER NOT NULL,
	set_name VARCHAR(80) NOT NULL,
	position INTEGER NOT NULL,
	stimulus_id VARCHAR(32) NOT NULL,
	repetition INTEGER NOT NULL,
	play_key VARCHAR(64) NOT NULL,
	PRIMARY KEY (listener_id, slot),
	CONSTRAINT one_clip_per_position UNIQUE (listener_id, part, position),
	CONSTRAINT one_trial_per_repetition UNIQUE (listener_id, set_name, stimulus_id, repetition),
	FOREIGN KEY(listener_id) REFERENCES listener (id) ON DELETE CASCADE,
	UNIQUE (play_key)
);
INSERT INTO "trial" VALUES(1,0,0,'practice',1,'gggggggg',0,'xzdnn62s4yay6gftazt54wgurt');
INSERT INTO "trial" VALUES(1,1,1,'UMG',1,'aaaaaaaa',0,'wamfpzfn2asg7p9jbukss426rh');
INSERT INTO "trial" VALUES(1,2,1,'UMG',2,'dddddddd',0,'zzxnvg75s3ggpu843r4njdzk64');
INSERT INTO "trial" VALUES(1,3,1,'UMG',3,'bbbbbbbb',0,'bp5wgh8s8rmcqujx6ig2xjveaa');
INSERT INTO "trial" VALUES(1,4,1,'UMG',4,'cccccccc',0,'x65mfky5smdqaxky7txxzyv3un');
INSERT INTO "trial" VALUES(1,5,1,'UMG',5,'aaaaaaaa',1,'5epgm8dp7nnqhsak6deaj2ugnf');
INSERT INTO "trial" VALUES(1,6,2,'VAR',1,'eeeeeeee',0,'ydmyh76um3a4hezeqtyk87a2k9');
INSERT INTO "trial" VALUES(1,7,2,'VAR',2,'ffffffff',0,'32qasys4qvz52xac9itx9ggbvv');
INSERT INTO "trial" VALUES(1,8,2,'VAR',3,'eeeeeeee',1,'jz89fpax2p6r3bhzex8gcytpks');
INSERT INTO "trial" VALUES(2,0,0,'practice',1,'gggggggg',0,'bjkx7ky3mh2f9jvmsym9ifxed5');
INSERT INTO "trial" VALUES(2,1,1,'VAR',1,'ffffffff',0,'ggnam8sbugiypmmiqjuwh4x3kf');
INSERT INTO "trial" VALUES(2,2,1,'VAR',2,'eeeeeeee',0,'sdevm7zbqiq43tnknrvarn86x8');
INSERT INTO "trial" VALUES(2,3,1,'VAR',3,'ffffffff',1,'uhxjgqnysgt77az3ydjar8cpga');
INSERT INTO "trial" VALUES(2,4,2,'UMG',1,'bbbbbbbb',0,'wvxqpwkp2ucip4xj8hjrb8buz5');
INSERT INTO "trial" VALUES(2,5,2,'UMG',2,'aaaaaaaa',0,'udpz7dv24rqtx5e63c2whk4g8w');
INSERT INTO "trial" VALUES(2,6,2,'UMG',3,'cccccccc',0,'s4nfyhgm25j3k8qxxzjbxkrc2q');
INSERT INTO "trial" VALUES(2,7,2,'UMG',4,'dddddddd',0,'awenccr6bd89e3fhb66xejabhv');
INSERT INTO "trial" VALUES(2,8,2,'UMG',5,'bbbbbbbb',1,'bsffqfxqh7ty3agqqbj3qah9gm');
INSERT INTO "trial" VALUES(3,0,0,'practice',1,'gggggggg',0,'r7mnk8dh2dczemxzugsxcv6p6n');
INSERT INTO "trial" VALUES(3,1,1,'UMG',1,'cccccccc',0,'i2wu9hed6hkwg9q5egxq5mwuai');
INSERT INTO "trial" VALUES(3,2,1,'UMG',2,'bbbbbbbb',0,'9yic4trmyn6asmyavw8vf36ky9');
INSERT INTO "trial" VALUES(3,3,1,'UMG',3,'dddddddd',0,'3a4ytvrw35k9e294s2gytdpn7d');
INSERT INTO "trial" VALUES(3,4,1,'UMG',4,'cccccccc',1,'azbdezs9yqsc6a7bm354hke2f6');
INSERT INTO "trial" VALUES(3,5,1,'UMG',5,'aaaaaaaa',0,'yv92phg9dhipzt93w7rdwuwanb');
INSERT INTO "trial" VALUES(3,6,2,'VAR',1,'eeeeeeee',0,'nv2n9sj6aaydtncmr73vs3ijgc');
INSERT INTO "trial" VALUES(3,7,2,'VAR',2,'ffffffff',0,'9haeq25gi4kvmjtfsc2r793dpw');
INSERT INTO "trial" VALUES(3,8,2,'VAR',3,'eeeeeeee',1,'y8qa55mwa852req2s69bg77a3i');
CREATE TABLE unblinding (
	id INTEGER NOT NULL,
	at DATETIME NOT NULL,
	who VARCHAR(200) NOT NULL,
	reason TEXT NOT NULL,
	key_sha256 VARCHAR(64) NOT NULL,
	PRIMARY KEY (id)
);
INSERT INTO "unblinding" VALUES(1,'2026-11-22 23:57:36.189117','Ida','look','abababababababababababababababababababababababababababababababab');
CREATE INDEX ix_play_event_listener_id ON play_event (listener_id);
COMMIT;
