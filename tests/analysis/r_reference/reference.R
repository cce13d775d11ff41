# Reference values for analysis/mixed.py:  Rscript reference.R > reference.json
# lme4, lmerTest and ordinal as in Debian 12; tolPwrss is tightened, as its default costs up to .5 %.
suppressMessages({library(lme4); library(lmerTest); library(ordinal)})
num <- function(x) paste0("[", paste(sprintf("%.10g", x), collapse = ", "), "]")
tight <- glmerControl(optimizer = "bobyqa", tolPwrss = 1e-12, optCtrl = list(maxfun = 1e5, rhoend = 1e-9))
cat("{\n"); first <- TRUE
for (name in c("balanced", "unbalanced", "near_singular")) {
  d <- read.csv(paste0(name, ".csv"))
  put <- function(model, estimate, se, df, listener, stimulus, residual, deviance) {
    if (!first) cat(",\n"); first <<- FALSE
    cat(sprintf('"%s %s": {"estimate": %s, "se": %s, "df": %s, "listener_sd": %s, "stimulus_sd": %s, "residual_sd": %s, "deviance": %s}',
      name, model, num(estimate), num(se), num(df), num(listener), num(stimulus), num(residual), num(deviance)))
  }
  m <- lmer(musicality ~ truth + (1 | listener) + (1 | stimulus), d,
    control = lmerControl(optimizer = "bobyqa", optCtrl = list(maxfun = 1e5, rhoend = 1e-9)))
  s <- coef(summary(m)); v <- VarCorr(m)
  put("linear", s[, 1], s[, 2], s[, 3], attr(v$listener, "stddev"), attr(v$stimulus, "stddev"), sigma(m), REMLcrit(m))
  for (link in c("probit", "logit")) {
    m <- glmer(fake ~ truth + (1 | listener) + (1 | stimulus), d, binomial(link), control = tight)
    s <- coef(summary(m)); v <- VarCorr(m)
    put(link, s[, 1], s[, 2], c(), attr(v$listener, "stddev"), attr(v$stimulus, "stddev"), c(), -2 * as.numeric(logLik(m)))
  }
  m <- glmer(fake ~ truth + (1 + truth | listener) + (1 | stimulus), d, binomial("probit"), control = tight)
  s <- coef(summary(m)); v <- VarCorr(m)
  put("slopes", s[, 1], s[, 2], c(), attr(v$listener, "stddev"), attr(v$stimulus, "stddev"), c(), -2 * as.numeric(logLik(m)))
  for (link in c("probit", "logit")) {
    m <- clmm(factor(musicality) ~ truth + (1 | listener) + (1 | stimulus), data = d, link = link)  # a tighter gradTol makes its SEs worse
    s <- coef(summary(m)); k <- nrow(s)
    put(paste0("ordinal-", link), s[k, 1], s[k, 2], c(), sqrt(m$ST$listener[1]^2), sqrt(m$ST$stimulus[1]^2), c(), -2 * as.numeric(logLik(m)))
  }
}
cat("\n}\n")
