# Conditional modes and their standard deviations of the linear model, by lme4, for the modes of a fit.
# Run in this folder: Rscript modes.R > modes.json
library(lme4)
out <- c()
for (name in c("balanced", "unbalanced")) {
  d <- read.csv(paste0(name, ".csv"))
  d$listener <- factor(d$listener); d$stimulus <- factor(d$stimulus)
  m <- lmer(musicality ~ truth + (1 | listener) + (1 | stimulus), d, REML = TRUE,
            control = lmerControl(optCtrl = list(xtol_abs = 1e-10, ftol_abs = 1e-12)))
  r <- as.data.frame(ranef(m, condVar = TRUE))
  for (g in c("listener", "stimulus")) {
    p <- r[r$grpvar == g, ]
    join <- function(x) paste(formatC(x, digits = 10, format = "g"), collapse = ", ")
    labels <- paste0('"', as.character(p$grp), '"', collapse = ", ")
    out <- c(out, sprintf('"%s %s": {"labels": [%s], "mode": [%s], "sd": [%s]}', name, g, labels,
                          join(p$condval), join(p$condsd)))
  }
}
cat("{", paste(out, collapse = ",\n "), "}\n", sep = "")
