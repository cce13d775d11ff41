"""SampleRNN (Mehri et al. 2017, arXiv 1612.07837): music drawn sample after sample by recurrent networks."""
