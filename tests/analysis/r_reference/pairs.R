# Reference values for analysis/models/paired.py:  Rscript pairs.R > pairs.json
# lme4 and lmerTest as in Debian 12; tolPwrss is tightened, as its default costs up to .5 %.
# Where a clip counts +1 as the first of a pair and -1 as the second, and a listener's taste likewise, no formula of
# lme4 says so: the model is built of factors with as many levels, and its random effects' matrix is put in their place.
suppressMessages({library(lme4); library(lmerTest); library(Matrix)})
num <- function(x) paste0("[", paste(sprintf("%.10g", x), collapse = ", "), "]")
tight <- glmerControl(optimizer = "bobyqa", tolPwrss = 1e-12, optCtrl = list(maxfun = 1e5, rhoend = 1e-9))
exact <- lmerControl(optimizer = "bobyqa", optCtrl = list(maxfun = 1e5, rhoend = 1e-9))
out <- c()
put <- function(name, estimate, se, df, spread, residual)
  out <<- c(out, sprintf('"%s": {"estimate": %s, "se": %s, "df": %s, "spread": %s, "residual_sd": %s}',
    name, num(estimate), num(se), num(df), num(spread), num(residual)))
sds <- function(m, terms) {  # by group and what is random in it; lme4 may turn the terms of one group round
  v <- VarCorr(m)
  names(v) <- paste(sub("[.]1$", "", names(v)), sapply(v, rownames))
  sapply(terms, function(one) sqrt(v[[one]][1]))
}
all <- read.csv("pairs.csv", stringsAsFactors = FALSE)

# Which is real: right answers, by ordinary formulas.
d <- all[all$question == "real", ]
first <- substr(d$first, 1, 1) == "r"
d$order <- ifelse(first, .5, -.5); d$right <- ifelse(first, d$chosen, 1 - d$chosen)
d$real <- ifelse(first, d$first, d$second); d$fake <- ifelse(first, d$second, d$first)
d$group <- ifelse(first, d$group_second, d$group_first)
plain <- lmer(right ~ order + (1 | listener) + (0 + order | listener) + (1 | real) + (1 | fake), d, control = exact)
s <- coef(summary(plain))
put("right", s[, 1], s[, 2], s[, 3], sds(plain, c("listener (Intercept)", "listener order", "real (Intercept)", "fake (Intercept)")), sigma(plain))
m <- lmer(right ~ 0 + group + order + (1 | listener) + (1 | listener:group) + (0 + order | listener) + (1 | real) + (1 | fake), d, control = exact)
s <- coef(summary(m))
put("right by group", s[, 1], s[, 2], s[, 3], sds(m, c("listener (Intercept)", "listener.group (Intercept)", "listener order", "real (Intercept)", "fake (Intercept)")), sigma(m))
l <- rbind(c(1, -1, 0, 0), c(0, 1, -1, 0))
s <- contest(m, l, joint = FALSE)
put("right, differences", s[, 1], s[, 2], s[, 3], c(), c())

# Which inspires more: memberships of +1 and -1.
d <- all[all$question == "inspiring", ]; n <- nrow(d)
member <- function(one, other) {  # levels x answers
  names <- sort(unique(c(one, other)))
  Matrix(outer(names, one, "==") - outer(names, other, "=="), sparse = TRUE)
}
leaning <- Matrix(outer(sort(unique(d$listener)), d$listener, "==") + 0, sparse = TRUE)
tastes <- member(paste(d$listener, d$group_first), paste(d$listener, d$group_second))
clips <- member(d$first, d$second)
fixed <- list(
  "groups" = cbind(position = 1, b = (d$group_first == "b") - (d$group_second == "b"), c = (d$group_first == "c") - (d$group_second == "c")),
  "none" = cbind(position = rep(1, n)))
built <- function(make, y, x, blocks, ...) {
  frame <- data.frame(y = y, x)
  for (name in names(blocks)) frame[[name]] <- factor(rep_len(seq_len(nrow(blocks[[name]])), n))
  terms <- paste(c("0", colnames(x), sprintf("(1 | %s)", names(blocks))), collapse = " + ")
  parts <- make(as.formula(paste("y ~", terms)), frame, ...)
  for (name in names(parts$reTrms$cnms)) parts$reTrms$Ztlist[[sprintf("1 | %s", name)]] <- as(blocks[[name]], "CsparseMatrix")
  parts$reTrms$Zt <- do.call(rbind, parts$reTrms$Ztlist)
  parts
}
linear <- function(name, x, blocks) {
  parts <- built(lFormula, d$chosen - .5, x, blocks, control = exact)
  devfun <- do.call(mkLmerDevfun, c(parts, list(control = exact)))
  opt <- optimizeLmer(devfun, optimizer = "bobyqa", control = exact$optCtrl)
  m <- mkMerMod(environment(devfun), opt, parts$reTrms, fr = parts$fr)
  s <- contest(lmerTest:::as_lmerModLT(m, devfun), diag(ncol(x)), joint = FALSE)
  put(name, s[, 1], s[, 2], s[, 3], sds(m, paste(names(blocks), "(Intercept)")), sigma(m))
}
logit <- function(name, x, blocks) {
  parts <- built(glFormula, d$chosen, x, blocks, family = binomial("logit"), control = tight)
  devfun <- do.call(mkGlmerDevfun, c(parts, list(control = tight)))
  opt <- optimizeGlmer(devfun, optimizer = "bobyqa", control = tight$optCtrl)
  devfun <- updateGlmerDevfun(devfun, parts$reTrms)
  opt <- optimizeGlmer(devfun, stage = 2, optimizer = "bobyqa", control = tight$optCtrl)
  m <- mkMerMod(environment(devfun), opt, parts$reTrms, fr = parts$fr)
  put(name, fixef(m), sqrt(diag(as.matrix(vcov(m)))), c(), sds(m, paste(names(blocks), "(Intercept)")), c())
}
for (kind in names(fixed)) {
  blocks <- list(leaning = leaning, tastes = tastes, clips = clips)
  if (kind == "none") blocks$tastes <- NULL
  linear(paste("shares", kind), fixed[[kind]], blocks)
  logit(paste("worths", kind), fixed[[kind]], blocks)
}
cat("{", paste(out, collapse = ",\n"), "}\n", sep = "")
