# Reference values for clips nested in trainings:  Rscript nested.R > nested.json
# lme4, lmerTest and ordinal as in Debian 12; tolPwrss is tightened, as its default costs up to .5 %.
# Originals come of no training: (0 + machine | training) is an effect of machine-made clips alone.
suppressMessages({library(lme4); library(lmerTest); library(ordinal)})
num <- function(x) paste0("[", paste(sprintf("%.10g", x), collapse = ", "), "]")
tight <- glmerControl(optimizer = "bobyqa", tolPwrss = 1e-12, optCtrl = list(maxfun = 1e5, rhoend = 1e-9))
exact <- lmerControl(optimizer = "bobyqa", optCtrl = list(maxfun = 1e5, rhoend = 1e-9))
d <- read.csv("nested.csv")
d$machine <- as.numeric(d$truth > 0)
f <- d[d$machine == 1, ]
out <- c()
put <- function(name, m, s, df, residual, deviance) {
  v <- VarCorr(m)
  sd <- function(g) if (is.null(v[[g]])) c() else sqrt(v[[g]][1])
  out <<- c(out, sprintf('"%s": {"estimate": %s, "se": %s, "df": %s, "listener_sd": %s, "stimulus_sd": %s, "nest_sd": %s, "residual_sd": %s, "deviance": %s}',
    name, num(s[, 1]), num(s[, 2]), num(df), num(c(sd("listener"), sd("listener:level"))), num(sd("stimulus")),
    num(c(sd("training"), sd("model"))), num(residual), num(deviance)))
}
linear <- function(name, m) { s <- coef(summary(m)); put(name, m, s, s[, 3], sigma(m), REMLcrit(m)) }
linear("linear truth", lmer(musicality ~ truth + (1 | listener) + (1 | stimulus) + (0 + machine | training), d, control = exact))
linear("linear truth, models", lmer(musicality ~ truth + (1 | listener) + (1 | stimulus) + (0 + machine | training) +
  (0 + machine | model), d, control = exact))
linear("linear epochs, models", lmer(musicality ~ doublings + (1 | listener) + (1 | stimulus) + (1 | training) +
  (1 | model), f, control = exact))
# Listeners' means as constants: truth is compared within them, and they deviate at random in each level of it.
d$level <- factor(d$truth); d$listener <- factor(d$listener)
m <- lmer(musicality ~ truth + listener + (1 | listener:level) + (1 | stimulus) + (0 + machine | training), d, control = exact)
s <- coef(summary(m))["truth", , drop = FALSE]
put("levels truth", m, s, s[, 3], sigma(m), c())
m <- glmer(fake ~ truth + (1 | listener) + (1 | stimulus) + (0 + machine | training), d, binomial("probit"), control = tight)
put("probit truth", m, coef(summary(m)), c(), c(), -2 * as.numeric(logLik(m)))
for (n in c("listener", "stimulus", "training")) f[[n]] <- factor(f[[n]])
m <- clmm(factor(musicality) ~ doublings + (1 | listener) + (1 | stimulus) + (1 | training), data = f, link = "logit")
s <- coef(summary(m))
put("ordinal epochs", m, s[nrow(s), , drop = FALSE], c(), c(), -2 * as.numeric(logLik(m)))
cat("{", paste(out, collapse = ",\n"), "}\n", sep = "")
