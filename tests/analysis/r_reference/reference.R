# Reference values for analysis/models/mixed.py:  Rscript reference.R > reference.json
# lme4, lmerTest and ordinal as in Debian 12; tolPwrss is tightened, as its default costs up to .5 %.
suppressMessages({library(lme4); library(lmerTest); library(ordinal)})
num <- function(x) paste0("[", paste(sprintf("%.10g", x), collapse = ", "), "]")
tight <- glmerControl(optimizer = "bobyqa", tolPwrss = 1e-12, optCtrl = list(maxfun = 1e5, rhoend = 1e-9))
exact <- lmerControl(optimizer = "bobyqa", optCtrl = list(maxfun = 1e5, rhoend = 1e-9))
sd <- function(v) attr(v, "stddev")
by <- function(v) {  # lme4 may turn the two terms of listeners round
  s <- unlist(lapply(v[names(v) != "stimulus"], sd)); names(s) <- sub(".*\\.", "", names(s))
  c(s[["(Intercept)"]], s[["truth"]] / sqrt(2))
}
cat("{\n"); first <- TRUE
for (name in c("balanced", "unbalanced", "near_singular", "differing")) {
  d <- read.csv(paste0(name, ".csv"))
  put <- function(model, estimate, se, df, listener, stimulus, residual, deviance) {
    if (!first) cat(",\n"); first <<- FALSE
    cat(sprintf('"%s %s": {"estimate": %s, "se": %s, "df": %s, "listener_sd": %s, "stimulus_sd": %s, "residual_sd": %s, "deviance": %s}',
      name, model, num(estimate), num(se), num(df), num(listener), num(stimulus), num(residual), num(deviance)))
  }
  m <- lmer(musicality ~ truth + (1 | listener) + (1 | stimulus), d, control = exact)
  s <- coef(summary(m)); v <- VarCorr(m)
  put("linear", s[, 1], s[, 2], s[, 3], sd(v$listener), sd(v$stimulus), sigma(m), REMLcrit(m))
  for (link in c("probit", "logit")) {
    m <- glmer(fake ~ truth + (1 | listener) + (1 | stimulus), d, binomial(link), control = tight)
    s <- coef(summary(m)); v <- VarCorr(m)
    put(link, s[, 1], s[, 2], c(), sd(v$listener), sd(v$stimulus), c(), -2 * as.numeric(logLik(m)))
  }
  # Listeners' deviations in each level are an uncorrelated slope of truth: its SD is sqrt(2) times a level's.
  m <- glmer(fake ~ truth + (1 | listener) + (0 + truth | listener) + (1 | stimulus), d, binomial("probit"), control = tight)
  s <- coef(summary(m)); v <- VarCorr(m)
  put("probit-level", s[, 1], s[, 2], c(), by(v), sd(v$stimulus), c(), -2 * as.numeric(logLik(m)))
  for (link in c("probit", "logit")) {
    m <- clmm(factor(musicality) ~ truth + (1 | listener) + (1 | stimulus), data = d, link = link)  # a tighter gradTol makes its SEs worse
    s <- coef(summary(m)); k <- nrow(s)
    put(paste0("ordinal-", link), s[k, 1], s[k, 2], c(), sqrt(m$ST$listener[1]^2), sqrt(m$ST$stimulus[1]^2), c(), -2 * as.numeric(logLik(m)))
  }
  # Effects of listener:level do the same wherever listeners have a variance beside them.
  d$level <- factor(ifelse(d$truth > 0, "fake", "real")); d$listener <- factor(d$listener); d$stimulus <- factor(d$stimulus)
  d$cell <- d$listener:d$level
  m <- clmm(factor(musicality) ~ truth + (1 | listener) + (1 | cell) + (1 | stimulus), data = d, link = "logit")
  s <- coef(summary(m)); k <- nrow(s)
  if (min(unlist(m$ST)) > 1e-3) put("ordinal-level", s[k, 1], s[k, 2], c(), c(), c(), c(), -2 * as.numeric(logLik(m)))
  # Levels within listeners, whose means are constants: the contrasts alone compare.
  for (levels in 2:3) {
    number <- as.integer(sub("S", "", d$stimulus))
    d$level <- factor(ifelse(d$truth < 0, "real", ifelse(levels == 3 & number %% 2 == 1, "odd", "fake")))
    m <- lmer(musicality ~ 0 + level + listener + (1 | listener:level) + (1 | stimulus), d, contrasts = list(listener = "contr.sum"), control = exact)
    l <- t(sapply(setdiff(levels(d$level), "real"), function(one) (names(fixef(m)) == paste0("level", one)) - (names(fixef(m)) == "levelreal")))
    s <- contest(m, l, joint = FALSE); v <- VarCorr(m)
    put(paste0("levels-", levels), s[, 1], s[, 2], s[, 3], sd(v[["listener:level"]]), sd(v$stimulus), sigma(m), c())
  }
}
cat("\n}\n")
